import { readdir, readFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ScriptHost, ScriptReturn } from "../../../src/runner/runner.ts";
import { until } from "../../waiting.ts";
import { isRunning } from "../processes.ts";
import { callOf, isRoot, type PythonScripts, pythonScripts } from "./python-scripts.ts";

let scripts: PythonScripts;
beforeEach(async () => {
  scripts = await pythonScripts({ memoryBytes: 160 * 1024 * 1024 });
});
afterEach(() => scripts[Symbol.asyncDispose]());

const act = (host: ScriptHost, act: string, deadlineMs = 20_000): Promise<ScriptReturn> =>
  host.call(callOf({ act, deadlineMs }));

/** After whatever happened, the script still answers. */
async function stillAnswers(host: ScriptHost): Promise<void> {
  expect(await act(host, "nothing")).toMatchObject({ outcome: "returned" });
}

test.each([
  ["exit", "died", /ended with status 3/],
  ["segfault", "died", /was killed by SIGSEGV/],
  ["abort", "died", /was killed by SIGABRT/],
  ["kill", "died", /was killed by SIGKILL/],
  ["kill parent", "died", /was killed by SIGKILL/],
  ["spoil", "died", /./],
  ["sys.exit", "raised", /sys.exit\(0\)/],
  ["memory", "raised", /MemoryError/],
])("a script that does this is denied, and the next call finds a worker: %s", async (what, outcome, message) => {
  const host = await scripts.host({ fixture: "hostile" });
  const result = await act(host, what);
  expect(result).toMatchObject({ outcome, message: expect.stringMatching(message) });
  await stillAnswers(host);
});

test("recursion without end ends in an exception or with its process", async () => {
  const host = await scripts.host({ fixture: "hostile" });
  expect((await act(host, "recursion")).outcome).toMatch(/raised|died/);
  await stillAnswers(host);
});

test("a script cannot reach the daemon over descriptor 3", async () => {
  const host = await scripts.host({ fixture: "hostile" });
  expect(await act(host, "read 3")).toMatchObject({ outcome: "returned", printed: "[Errno 9] Bad file descriptor\n" });
});

test("a script that closes every descriptor is ended", async () => {
  const host = await scripts.host({ fixture: "hostile" });
  expect((await act(host, "close")).outcome).toBe("died");
  await stillAnswers(host);
});

test("threads left behind harm nobody", async () => {
  const host = await scripts.host({ fixture: "hostile" });
  expect((await act(host, "threads")).outcome).toBe("returned");
  await stillAnswers(host);
});

test("a copy of the process that forgets to end answers nothing and ends", async () => {
  const host = await scripts.host({ fixture: "hostile" });
  for (let i = 0; i < 5; i++) {
    const result = await act(host, "fork");
    expect(result).toMatchObject({ outcome: "returned", printed: "" });
  }
  await until("what the copy printed is in the log", () => scripts.logged().includes("from the copy"));
  await stillAnswers(host);
});

test.each(["child, sleep", "daemon, sleep"])("what it started ends with it, past the deadline: %s", async (what) => {
  const host = await scripts.host({ fixture: "hostile" });
  const result = await act(host, what, 4_000);
  expect(result.outcome).toBe("timed-out");
  const child = Number((result.printed || scripts.logged().match(/"printed":"(\d+)/)?.[1]) ?? "0");
  expect(child).toBeGreaterThan(0);
  await until(`process ${child} is gone`, () => !isRunning(child));
});

test("what it started ends with it, after a crash", async () => {
  const host = await scripts.host({ fixture: "hostile" });
  expect((await act(host, "daemon, exit")).outcome).toBe("died");
  await until("the pid is in the log", () => /"printed":"\d+/.test(scripts.logged()));
  const child = Number(scripts.logged().match(/"printed":"(\d+)/)?.[1]);
  await until(`process ${child} is gone`, () => !isRunning(child));
});

test("what it started ends when the script is taken out of service", async () => {
  const host = await scripts.host({ fixture: "hostile" });
  const result = await act(host, "child");
  const child = Number(result.printed);
  expect(isRunning(child)).toBe(true);
  await host.close();
  expect(isRunning(child)).toBe(false);
});

/** Threads and processes of an account: those of other tests, and of whoever else runs scripts here, count too. */
async function tasksOf(account: string): Promise<number> {
  const passwd = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  const uid = passwd.find(([name]) => name === account)?.[2];
  let tasks = 0;
  for (const entry of await readdir("/proc")) {
    const status = await readFile(`/proc/${entry}/status`, "utf8").catch(() => "");
    if (/^Uid:\t(\d+)/m.exec(status)?.[1] === uid) tasks += Number(/^Threads:\t(\d+)/m.exec(status)?.[1]);
  }
  return tasks;
}

test("a fork bomb ends with its deadline", async () => {
  await using few = await pythonScripts({ maxProcesses: (await tasksOf("nobody")) + 400 });
  const host = await few.host({ fixture: "hostile" });
  if (!isRoot) return; // the bound counts all processes of the account, and this one is the tester's own
  const pid = Number((await act(host, "pid")).printed);
  expect((await act(host, "fork bomb", 1_000)).outcome).toBe("timed-out");
  await until(`process ${pid} is gone`, () => !isRunning(pid));
  await stillAnswers(host);
});

test("signals that the script ignores do not keep it alive", async () => {
  const host = await scripts.host({
    text: [
      "import os, signal, time",
      "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)",
      "def post_auth(authcred, attributes, authret, info):",
      "    print(os.getpid())",
      "    time.sleep(600)",
    ].join("\n"),
  });
  const result = await host.call(callOf({ deadlineMs: 500 }));
  expect(result.outcome).toBe("timed-out");
  const pid = Number(result.printed);
  await until(`process ${pid} is gone`, () => !isRunning(pid));
});

test("a supervisor that the script stopped does not save it", async () => {
  const host = await scripts.host({ fixture: "hostile" });
  const result = await act(host, "stop parent", 500);
  expect(result.outcome).toBe("timed-out");
  const pid = Number(result.printed);
  await until(`process ${pid} is gone`, () => !isRunning(pid));
});

test("a gigabyte printed by a child process is read and dropped", async () => {
  const host = await scripts.host({ fixture: "hostile" });
  expect(await act(host, "gigabyte")).toMatchObject({ outcome: "returned", printed: "" });
  await stillAnswers(host);
  await host.close();
  expect(scripts.logged().length).toBeLessThan(1_000_000);
  expect(scripts.logged()).toContain("more bytes were printed");
});

test("a script that prints without end is denied at its deadline, and its output kept up to the bound", async () => {
  const host = await scripts.host({ fixture: "hostile" });
  const result = await act(host, "print forever", 1_000);
  expect(result.outcome).toBe("timed-out");
  expect(result.printed.length).toBeGreaterThan(60_000);
  expect(result.printed.length).toBeLessThan(70_000);
  await stillAnswers(host);
});

test("a call that keeps all threads of its process from running is noticed, and other calls avoid the process", async () => {
  const host = await scripts.host({ fixture: "hostile" });
  const order: string[] = [];
  const stuck = act(host, "backtrack", 15_000);
  stuck.then(() => order.push("stuck"));
  // A process is asked after a quarter of a second and given up after another.
  await wait(2_000);
  const others = await Promise.all(Array.from({ length: 40 }, () => act(host, "nothing", 12_000)));
  order.push("others");
  expect(new Set(others.map(({ outcome }) => outcome))).toEqual(new Set(["returned"]));
  expect((await stuck).outcome).toBe("timed-out");
  expect(order).toEqual(["others", "stuck"]);
});
