/*
 * Warm calls of a Python post-auth script a second, against a bare JSON line that a Python process sends back over the
 * same kind of pipe, and against one python3 started for each call. One process each; the calls are the same texts.
 */
import { execFile } from "node:child_process";
import { startWorkerProcess } from "../packages/server/src/runner/worker-process.ts";
import {
  account,
  callOf,
  python,
  pythonScripts,
  returned,
} from "../packages/server/test/runner/python/python-scripts.ts";
import { inParallel } from "../packages/server/test/waiting.ts";
import { inTurns, median, numberOption, ratio, shown } from "./figures.ts";

const script = `
from pyovpn.plugin import *
AUTH_NULL = True

def post_auth(authcred, attributes, authret, info):
    authret["status"] = SUCCEED
    return authret
`;

const echo = `
import json, os, sys
pipe = open(3, "r+b", buffering=0)
lines = os.fdopen(os.dup(3), "r", encoding="ascii")
for line in lines:
    message = json.loads(line)
    answer = {"op": "returned", "id": message["id"], "value": message["arguments"]["authret"], "printed": ""}
    pipe.write((json.dumps(answer) + "\\n").encode())
`;

const once = `
import json, sys
SUCCEED = 1
def post_auth(authcred, attributes, authret, info):
    authret["status"] = SUCCEED
    return authret
given = json.load(sys.stdin)
print(json.dumps(post_auth(given["authcred"], given["attributes"], given["authret"], given["info"])))
`;

const rounds = numberOption("rounds", 7);
const calls = numberOption("calls", 4_000);
const call = callOf({ authret: { user: "alice", proplist: { conn_group: "staff", prop_superuser: "false" } } });

await using scripts = await pythonScripts({ workersPerScript: 1, maxWorkersPerScript: 1 });
const host = await scripts.host({ text: script });
const bare = startBare();

/** Calls a second. */
async function rate(count: number, width: number, one: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await inParallel(new Array(count).fill(undefined), width, one);
  return (count * 1_000) / (performance.now() - started);
}

const warm = async () => returned(await host.call(call));
await rate(500, 32, warm);
await rate(500, 32, bare.call);

for (const width of [1, 32]) {
  const { ours, theirs, each } = await inTurns(rounds, {
    ours: () => rate(calls, width, warm),
    theirs: () => rate(calls, width, bare.call),
    each: () => rate(20, Math.min(width, 2), startOne),
  });
  const [a, b, c] = [median(ours), median(theirs), median(each)];
  console.log(`${width} at once: warm ${shown(a)}/s, bare line ${shown(b)}/s, one python3 a call ${shown(c)}/s`);
  ratio(`  warm calls against a bare JSON line, ${width} at once`, a / b, { atLeast: 0.5 });
  ratio(`  warm calls against one python3 a call, ${width} at once`, a / c, width === 1 ? {} : { atLeast: 100 });
}
bare.end();

/** One line there, one line back, and nothing else. */
function startBare(): { call: () => Promise<unknown>; end: () => void } {
  const started = startWorkerProcess({
    path: python,
    args: ["-I", "-B", "-c", echo],
    account,
    workingDirectory: "/",
    supervises: false,
    onOutput: (text) => process.stderr.write(text),
  });
  const waiting = new Map<number, (answer: unknown) => void>();
  let last = 0;
  let rest = "";
  started.pipe?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const answer = JSON.parse(line);
      waiting.get(answer.id)?.(answer);
      waiting.delete(answer.id);
    }
  });
  return {
    call: () =>
      new Promise((answered) => {
        last += 1;
        waiting.set(last, answered);
        started.pipe?.write(`${JSON.stringify({ op: "call", id: last, ...call })}\n`);
      }),
    end: () => started.kill(undefined),
  };
}

function startOne(): Promise<unknown> {
  return new Promise((answered, failed) => {
    const child = execFile(python, ["-I", "-B", "-c", once], (error, stdout) =>
      error === null ? answered(JSON.parse(stdout)) : failed(error),
    );
    child.stdin?.end(JSON.stringify(call.arguments));
  });
}
