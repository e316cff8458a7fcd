import { readdir } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ScriptHost, ScriptReturn } from "../../../src/runner/runner.ts";
import { until } from "../../waiting.ts";
import { isRunning } from "../processes.ts";
import { callOf, isRoot } from "../script-calls.ts";
import { type TypeScriptScripts, typeScriptScripts } from "./typescript-scripts.ts";

let scripts: TypeScriptScripts;
let host: ScriptHost;
beforeEach(async () => {
  scripts = await typeScriptScripts({ memoryBytes: 128 * 1024 * 1024 });
  host = await scripts.host({ fixture: "hostile" });
});
afterEach(() => scripts[Symbol.asyncDispose]());

const act = (act: string, deadlineMs = 20_000): Promise<ScriptReturn> => host.call(callOf({ act, deadlineMs }));

/** After whatever happened, the script still answers. */
async function stillAnswers(): Promise<void> {
  expect(await act("nothing")).toMatchObject({ outcome: "returned" });
}

test.each([
  ["reallyExit", "died", /ended with status 3/],
  ["abort", "died", /was killed by SIGABRT/],
  ["objects", "died", /was killed by SIG\w+: it needed more than its memory/],
  ["one string", "died", /needed more than its memory/],
  ["recursion", "raised", /Maximum call stack size exceeded/],
  ["process.exit", "raised", /the script called process.exit\(0\)/],
  ["process.exit later", "raised", /the script called process.exit\(0\)/],
  ["kill", "raised", /has no processes to signal/],
  ["throw", "raised", /thrown at once/],
  ["throw later", "raised", /thrown later/],
  ["emit an error", "raised", /nobody listens/],
  ["reject and forget", "raised", /rejected and forgotten/],
  ["refused connection", "raised", /ECONNREFUSED/],
  ["close the pipe", "died", /./],
])("a script that does this is denied, and the next call finds a worker: %s", async (what, outcome, message) => {
  expect(await act(what)).toMatchObject({ outcome, message: expect.stringMatching(message) });
  await stillAnswers();
});

// Which of them the last buffer leaves no room for, the next buffer or something of Node's own, is chance.
test("memory taken up by buffers ends in an exception or with its process", async () => {
  expect([
    expect.objectContaining({ outcome: "raised", message: expect.stringContaining("Failed to allocate memory") }),
    expect.objectContaining({ outcome: "died", message: expect.stringContaining("needed more than its memory") }),
  ]).toContainEqual(await act("buffers"));
  await stillAnswers();
});

test.each(["wait", "busy loop", "busy loop later", "endless microtasks", "endless ticks", "print forever"])(
  "a script that never answers is denied at its deadline, and its process is gone: %s",
  async (what) => {
    const pid = Number((await act("pid")).printed);
    const result = await act(what, 1_000);
    expect(result.outcome).toBe("timed-out");
    // Long before anything else would end it.
    expect(result.durationMs).toBeLessThan(15_000);
    await stillAnswers();
    await until(`process ${pid} is gone`, () => !isRunning(pid));
  },
);

test.each([
  ["read a file", "Access to this API has been restricted"],
  ["read any file", "Access to this API has been restricted"],
  ["read the directory", "Access to this API has been restricted"],
  ["read memory", "Access to this API has been restricted"],
  ["write a file", "Access to this API has been restricted"],
  ["run a program", "Access to this API has been restricted"],
  ["start a thread", "Access to this API has been restricted"],
  ["load an addon", "loading addons is disabled"],
  ["make code", "Code generation from strings disallowed"],
  ["write its heap", "Access to this API has been restricted"],
  ["listen for a debugger", "no processes to signal"],
  ["other context", "Code generation from strings disallowed"],
])("a script is not let: %s", async (what, refusal) => {
  const { outcome, printed } = await act(what);
  expect(outcome).toBe("returned");
  expect(printed).toContain(refusal);
  expect(await readdir(scripts.workingDirectory)).toEqual([]);
});

test("an exception that comes after the answer is logged, and harms nobody", async () => {
  expect(await act("throw after the answer")).toMatchObject({ outcome: "returned" });
  const beside = act("wait", 1_000);
  await until("it is in the log", () => scripts.logged().includes("too late to matter"));
  expect((await beside).outcome).toBe("timed-out");
});

test("calls beside one that fails asynchronously go on", async () => {
  const beside = act("throw after the answer");
  const results = await Promise.all([act("throw later"), act("reject and forget"), act("emit an error"), beside]);
  expect(results.map(({ outcome }) => outcome)).toEqual(["raised", "raised", "raised", "returned"]);
  await stillAnswers();
});

test("a forged answer for another call admits nobody: the whole process is ended", async () => {
  const [one, other] = await Promise.all([act("wait", 3_000), act("spoil", 3_000)]);
  // The forgery is the script's own word, like any answer it gives; what it cannot do is go on.
  expect([one.outcome, other.outcome]).toContain("died");
  await stillAnswers();
});

test("a gigabyte printed is dropped beyond the bound", async () => {
  const { outcome, printed } = await act("gigabyte", 60_000);
  expect(outcome).toBe("returned");
  expect(printed.length).toBeLessThan(70_000);
  expect(printed).toContain("more characters were printed");
  await stillAnswers();
});

test("a gigabyte written past the SDK ends the process that writes it", async () => {
  expect(await act("gigabyte past the SDK", 60_000)).toMatchObject({ outcome: "died" });
  expect(scripts.logged().length).toBeLessThan(40_000_000);
  await stillAnswers();
});

test.each(["leave timers", "close its output", "forget console"])(
  "what it leaves behind harms nobody: %s",
  async (what) => {
    expect((await act(what)).outcome).toMatch(/returned|raised/);
    await stillAnswers();
  },
);

test("spoilt prototypes are those of one process, and decide nothing elsewhere", async () => {
  await act("spoil prototypes");
  const { outcome } = await act("nothing");
  expect(outcome).toMatch(/returned|raised|unsendable|died/);
  expect(({} as { decision?: string }).decision).toBeUndefined();
  const other = await scripts.host({ fixture: "hostile" });
  expect(await other.call(callOf({ act: "nothing" }))).toMatchObject({ outcome: "returned" });
});

test("signals that end a process from outside are told", async () => {
  if (!isRoot) return;
  const pid = Number((await act("pid")).printed);
  const waiting = act("wait");
  process.kill(pid, "SIGTERM");
  expect(await waiting).toMatchObject({ outcome: "died", message: expect.stringContaining("SIGTERM") });
  await stillAnswers();
});
