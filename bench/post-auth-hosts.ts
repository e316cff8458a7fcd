/*
 * Warm calls of the same post-auth script a second in TypeScript and in Python, and a bare JSON line that a Node process
 * sends back over the same kind of pipe. One process each; then, with a script that waits 20 ms for something, as many
 * calls at once as one process has.
 */
import { startWorkerProcess } from "../packages/server/src/runner/worker-process.ts";
import { pythonScripts } from "../packages/server/test/runner/python/python-scripts.ts";
import { account, callOf, returned } from "../packages/server/test/runner/script-calls.ts";
import { scriptOf, typeScriptScripts } from "../packages/server/test/runner/typescript/typescript-scripts.ts";
import { inParallel } from "../packages/server/test/waiting.ts";
import { inTurns, median, numberOption, ratio, shown } from "./figures.ts";

const python = (body: string) =>
  `import time\ndef post_auth(authcred, attributes, authret, info):\n    ${body}\n    authret["proplist"]["conn_group"] = "eng"\n    return authret\n`;
const typeScript = (body: string) => scriptOf(`${body}\nreturn allow({ group: "eng" });`);

const echo = `
let rest = "";
const pipe = new (require("node:net").Socket)({ fd: 3 });
pipe.setEncoding("utf8").on("data", (text) => {
  const lines = (rest + text).split("\\n");
  rest = lines.pop();
  let answers = "";
  for (const line of lines) {
    const message = JSON.parse(line);
    answers += JSON.stringify({ op: "returned", id: message.id, value: message.arguments.authret, printed: "" }) + "\\n";
  }
  if (answers !== "") pipe.write(answers);
});
pipe.on("close", () => process.exit(0));
`;

const rounds = numberOption("rounds", 7);
const calls = numberOption("calls", 4_000);
const call = callOf({ authret: { proplist: { conn_group: "staff", prop_superuser: "false" } } });

const one = { workersPerScript: 1, maxWorkersPerScript: 1 };
await using pythons = await pythonScripts(one);
await using typeScripts = await typeScriptScripts(one);
const hosts = {
  typeScript: await typeScripts.host({ text: typeScript("") }),
  python: await pythons.host({ text: python("pass") }),
};
const waiting = {
  typeScript: await typeScripts.host({ text: typeScript("await new Promise((go) => setTimeout(go, 20));") }),
  python: await pythons.host({ text: python("time.sleep(0.02)") }),
};
const bare = startBare();

/** Calls a second. */
async function rate(count: number, width: number, one: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await inParallel(new Array(count).fill(undefined), width, one);
  return (count * 1_000) / (performance.now() - started);
}

const warm = (host: (typeof hosts)["python"]) => async () => returned(await host.call(call));
for (const host of [...Object.values(hosts), ...Object.values(waiting)]) await rate(500, 32, warm(host));
await rate(500, 32, bare.call);

for (const width of [1, 32]) {
  const found = await inTurns(rounds, {
    typeScript: () => rate(calls, width, warm(hosts.typeScript)),
    python: () => rate(calls, width, warm(hosts.python)),
    bare: () => rate(calls, width, bare.call),
  });
  const [ours, theirs, line] = [median(found.typeScript), median(found.python), median(found.bare)];
  console.log(`${width} at once: TypeScript ${shown(ours)}/s, Python ${shown(theirs)}/s, bare line ${shown(line)}/s`);
  ratio(`  TypeScript calls against a bare JSON line, ${width} at once`, ours / line, { atLeast: 0.5 });
  ratio(`  TypeScript calls against Python calls, ${width} at once`, ours / theirs, {});
}

const wide = await inTurns(rounds, {
  typeScript: () => rate(calls, 512, warm(waiting.typeScript)),
  python: () => rate(calls, 512, warm(waiting.python)),
});
const [ours, theirs] = [median(wide.typeScript), median(wide.python)];
console.log(
  `scripts that wait 20 ms, one process: TypeScript ${shown(ours)}/s (512 at once), Python ${shown(theirs)}/s (128)`,
);
ratio("  TypeScript calls that wait against Python calls that wait", ours / theirs, {});
bare.end();

/** One line there, one line back, and nothing else. */
function startBare(): { call: () => Promise<unknown>; end: () => void } {
  const started = startWorkerProcess({
    path: process.execPath,
    args: ["-e", echo],
    account,
    workingDirectory: "/",
    supervises: false,
    onOutput: (text) => process.stderr.write(text),
  });
  const unanswered = new Map<number, (answer: unknown) => void>();
  let last = 0;
  let rest = "";
  started.pipe?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const answer = JSON.parse(line);
      unanswered.get(answer.id)?.(answer);
      unanswered.delete(answer.id);
    }
  });
  return {
    call: () =>
      new Promise((answered) => {
        last += 1;
        unanswered.set(last, answered);
        started.pipe?.write(`${JSON.stringify({ op: "call", id: last, ...call })}\n`);
      }),
    end: () => started.kill(undefined),
  };
}
