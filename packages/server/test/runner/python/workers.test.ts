import { spawn } from "node:child_process";
import { unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { until } from "../../waiting.ts";
import { isRunning } from "../processes.ts";
import { callOf, python, pythonScripts, returned } from "./python-scripts.ts";

/** Waits in post_auth until the file named by UV_ACT is there. */
const waiting = [
  "import os, time",
  "def post_auth(authcred, attributes, authret, info):",
  "    act = attributes['client_info'].get('UV_ACT')",
  "    print(os.getpid(), os.getcwd())",
  "    while act and not os.path.exists(act):",
  "        time.sleep(0.1)",
  "    return authret",
].join("\n");

const pidIn = (printed: string) => Number(printed.split(" ")[0]);

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself meanwhile.
  }
}

test("500 calls wait at once while others go through", async () => {
  await using scripts = await pythonScripts();
  const host = await scripts.host({ text: waiting });
  let ended = 0;
  const sleepers = Array.from({ length: 500 }, () =>
    host.call(callOf({ act: "go", deadlineMs: 60_000 })).then((result) => {
      ended += 1;
      return result;
    }),
  );
  const quick = await Promise.all(Array.from({ length: 50 }, () => host.call(callOf({ deadlineMs: 60_000 }))));
  for (const result of quick) expect(result.outcome).toBe("returned");
  expect(ended).toBe(0);
  const directory =
    returned(quick[0] as never)
      .printed.trim()
      .split(" ")[1] ?? "";
  await writeFile(join(directory, "go"), "");
  const results = await Promise.all(sleepers);
  expect(new Set(results.map(({ outcome }) => outcome))).toEqual(new Set(["returned"]));
  const pids = new Set(results.map(({ printed }) => pidIn(printed)));
  expect(pids.size).toBeGreaterThanOrEqual(4);
  expect(pids.size).toBeLessThanOrEqual(8);
});

test("calls that come one at a time meet in the same process", async () => {
  await using scripts = await pythonScripts();
  const host = await scripts.host({
    text: "COUNT = 0\ndef post_auth(a, b, authret, d):\n    global COUNT\n    COUNT += 1\n    print(COUNT)\n    return authret\n",
  });
  for (let i = 1; i <= 20; i++) expect((await host.call(callOf())).printed).toBe(`${i}\n`);
});

test("more calls than can wait are refused at once, and those that wait too long too", async () => {
  await using scripts = await pythonScripts({
    threadsPerWorker: 1,
    workersPerScript: 1,
    maxWorkersPerScript: 1,
    maxWaiting: 2,
  });
  const host = await scripts.host({ text: waiting });
  const { printed } = await host.call(callOf());
  const running = host.call(callOf({ act: "go" }));
  const patient = host.call(callOf());
  const impatient = host.call(callOf({ deadlineMs: 50 }));
  expect((await host.call(callOf())).outcome).toBe("too-busy");
  expect((await impatient).outcome).toBe("too-busy");
  await writeFile(join(printed.trim().split(" ")[1] ?? "", "go"), "");
  expect((await running).outcome).toBe("returned");
  expect((await patient).outcome).toBe("returned");
});

test("a call past its deadline is denied at once; the calls beside it finish; then its process is gone", async () => {
  await using scripts = await pythonScripts({ workersPerScript: 1 });
  const host = await scripts.host({ text: waiting });
  const { printed } = await host.call(callOf());
  const first = pidIn(printed);
  const beside = host.call(callOf({ act: "go" }));
  const late = await host.call(callOf({ act: "never", deadlineMs: 2_000 }));
  expect(late).toMatchObject({ outcome: "timed-out", printed });
  const next = await host.call(callOf());
  expect(next.outcome).toBe("returned");
  expect(pidIn(next.printed)).not.toBe(first);
  expect(isRunning(first)).toBe(true);
  await writeFile(join(printed.trim().split(" ")[1] ?? "", "go"), "");
  expect(await beside).toMatchObject({ outcome: "returned", printed });
  await until("the process of the late call is gone", () => !isRunning(first));
});

test("kill -9 of a process in the middle of calls denies those, and only those", async () => {
  await using scripts = await pythonScripts();
  const host = await scripts.host({ text: waiting });
  const pid = pidIn((await host.call(callOf())).printed);
  const calls = Array.from({ length: 10 }, () => host.call(callOf({ act: "never" })));
  process.kill(pid, "SIGKILL");
  // Other processes have the rest of them, and those go on waiting.
  let next = await host.call(callOf());
  await until("other calls go through", async () => {
    if (next.outcome !== "returned") next = await host.call(callOf());
    return next.outcome === "returned";
  });
  expect(pidIn(next.printed)).not.toBe(pid);
  await writeFile(join(next.printed.trim().split(" ")[1] ?? "", "never"), "");
  for (const result of await Promise.all(calls)) {
    if (result.outcome === "died") expect(result.message).toContain("SIGKILL");
    else expect(result.outcome).toBe("returned");
  }
});

test("a script that cannot be loaded again says why, and is tried again", async () => {
  await using scripts = await pythonScripts();
  const host = await scripts.host({
    text: `import os\nif os.path.exists("broken"):\n    raise RuntimeError("the table is locked")\n${waiting}`,
  });
  const { printed } = await host.call(callOf());
  const directory = printed.trim().split(" ")[1] ?? "";
  const brokenAt = performance.now();
  await writeFile(join(directory, "broken"), "");
  await until("a call is told why there is no process", async () => {
    const result = await host.call(callOf({ deadlineMs: 500 }));
    // Whoever answers was loaded before.
    if (result.outcome === "returned") killIfThere(pidIn(result.printed));
    return result.outcome === "died" && result.message.includes("the table is locked");
  });
  // The waits between the tries double; both processes fail each time, so the sixth comes after 200 and 800 ms.
  await until("it was tried again and again", () => scripts.logged().includes('"failures":6'));
  expect(performance.now() - brokenAt).toBeGreaterThan(900);
  await unlink(join(directory, "broken"));
  await until("the script is loaded again", async () => (await host.call(callOf())).outcome === "returned");
});

test("a SYNCHRONOUS script is never called twice at once, not even while a late call may still run", async () => {
  await using scripts = await pythonScripts();
  const host = await scripts.host({
    text: [
      "import fcntl, os, time",
      "SYNCHRONOUS = True",
      "def post_auth(authcred, attributes, authret, info):",
      "    with open('lock', 'w') as lock:",
      "        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
      "        time.sleep(600 if attributes['client_info'].get('UV_ACT') else 0.02)",
      "    return authret",
    ].join("\n"),
  });
  const calls = [
    ...Array.from({ length: 20 }, () => host.call(callOf())),
    host.call(callOf({ act: "hang", deadlineMs: 6_000 })),
    ...Array.from({ length: 20 }, () => host.call(callOf())),
  ];
  const outcomes = (await Promise.all(calls)).map(({ outcome }) => outcome);
  expect(outcomes.filter((outcome) => outcome === "returned").length).toBe(40);
  expect(outcomes[20]).toBe("timed-out");
});

test("closing waits for the calls under way, and refuses new ones", async () => {
  await using scripts = await pythonScripts();
  const host = await scripts.host({ text: waiting });
  const { printed } = await host.call(callOf());
  const running = host.call(callOf({ act: "go" }));
  const closed = host.close();
  expect((await host.call(callOf())).outcome).toBe("died");
  expect(isRunning(pidIn(printed))).toBe(true);
  await writeFile(join(printed.trim().split(" ")[1] ?? "", "go"), "");
  expect((await running).outcome).toBe("returned");
  await closed;
  expect(isRunning(pidIn(printed))).toBe(false);
});

test.each([
  ["waits", "pass"],
  ["keeps the interpreter to itself", "re.match('(a+)+$', 'a' * 60 + 'b')"],
])("when the daemon is killed, every process of every script is gone, also of one that %s", async (_what, does) => {
  await using scripts = await pythonScripts();
  const text = [
    "import os, re, subprocess, time",
    "CHILD = subprocess.Popen(['sleep', '600'], start_new_session=True)",
    "def post_auth(authcred, attributes, authret, info):",
    "    os.write(1, b'%d %d' % (os.getpid(), CHILD.pid))",
    `    ${does}`,
    "    time.sleep(600)",
  ].join("\n");
  const own = await scripts.host({ text: waiting });
  const directory = (await own.call(callOf())).printed.trim().split(" ")[1];
  const loader = new URL("../../../src/runner/python/loader.ts", import.meta.url).href;
  const program = `
    const { createPythonLoader } = await import(${JSON.stringify(loader)});
    const log = { debug() {}, info: ({ printed }) => console.log(printed), warn() {}, error() {} };
    const load = createPythonLoader({ python: ${JSON.stringify(python)}, workingDirectory: ${JSON.stringify(directory)}, log });
    const { host } = await load({ name: "script", text: ${JSON.stringify(text)} });
    await host.call(${JSON.stringify({ ...callOf(), deadlineMs: 600_000 })});
  `;
  const daemon = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: daemon.stdout });
  const line = await new Promise<string>((resolve) => lines.once("line", resolve));
  const pids = line.split(" ").map(Number);
  expect(pids.length).toBe(2);
  for (const pid of pids) expect(isRunning(pid)).toBe(true);
  daemon.kill("SIGKILL");
  for (const pid of pids) await until(`process ${pid} is gone`, () => !isRunning(pid));
});
