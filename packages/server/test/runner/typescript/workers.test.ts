import { spawn } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../../waiting.ts";
import { isRunning } from "../processes.ts";
import { callOf, returned } from "../script-calls.ts";
import { scriptOf, typeScriptScripts } from "./typescript-scripts.ts";

/** Answers only when it is told to: what scripts wait for. */
let server: Server;
let waiting: (() => void)[];
let url: string;
beforeEach(async () => {
  waiting = [];
  server = createServer((_request, response) => void waiting.push(() => response.end("go"))).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const releaseAll = () => {
  for (const release of waiting.splice(0)) release();
};

/** Tells its process, then waits for the server where UV_ACT says so. */
const waiter = () =>
  scriptOf(
    `console.log(process.pid);\nif (request.clientInfo.UV_ACT) await (await fetch(${JSON.stringify(url)})).text();\nreturn allow();`,
  );

const pidIn = (printed: string) => Number(printed.trim());

test("500 calls wait at once in one process while others go through", async () => {
  await using scripts = await typeScriptScripts();
  const host = await scripts.host({ text: waiter() });
  const sleepers = Array.from({ length: 500 }, () => host.call(callOf({ act: "go", deadlineMs: 60_000 })));
  await until("500 calls wait for the server", () => waiting.length === 500);
  const quick = await Promise.all(Array.from({ length: 50 }, () => host.call(callOf({ deadlineMs: 60_000 }))));
  for (const result of quick) expect(result.outcome).toBe("returned");
  releaseAll();
  const results = await Promise.all(sleepers);
  expect(new Set(results.map(({ outcome }) => outcome))).toEqual(new Set(["returned"]));
  expect(new Set(results.map(({ printed }) => printed)).size).toBe(1);
});

test("as many processes as may be are started where calls wait, and no more", async () => {
  await using scripts = await typeScriptScripts({ callsPerWorker: 4, maxWorkersPerScript: 3 });
  const host = await scripts.host({ text: waiter() });
  const calls = Array.from({ length: 16 }, () => host.call(callOf({ act: "go", deadlineMs: 60_000 })));
  await until("12 calls wait for the server", () => waiting.length === 12);
  releaseAll();
  await until("4 more calls wait for the server", () => waiting.length === 4);
  releaseAll();
  const results = await Promise.all(calls);
  expect(new Set(results.map(({ printed }) => printed)).size).toBe(3);
});

test("calls that come one at a time meet in the same process", async () => {
  await using scripts = await typeScriptScripts({ workersPerScript: 2 });
  const host = await scripts.host({ text: `let count = 0;\n${scriptOf("console.log(++count);\nreturn allow();")}` });
  for (let i = 1; i <= 20; i++) expect((await host.call(callOf())).printed).toBe(`${i}\n`);
});

test("more calls than can wait are refused at once, and those that wait too long too", async () => {
  await using scripts = await typeScriptScripts({ callsPerWorker: 1, maxWorkersPerScript: 1, maxWaiting: 2 });
  const host = await scripts.host({ text: waiter() });
  await host.call(callOf());
  const running = host.call(callOf({ act: "go" }));
  const patient = host.call(callOf());
  const impatient = host.call(callOf({ deadlineMs: 50 }));
  expect((await host.call(callOf())).outcome).toBe("too-busy");
  expect((await impatient).outcome).toBe("too-busy");
  await until("the first call waits for the server", () => waiting.length === 1);
  releaseAll();
  expect((await running).outcome).toBe("returned");
  expect((await patient).outcome).toBe("returned");
});

test("a call past its deadline is denied at once; the calls beside it finish; then its process is gone", async () => {
  await using scripts = await typeScriptScripts();
  const host = await scripts.host({ text: waiter() });
  const { printed } = await host.call(callOf());
  const first = pidIn(printed);
  const beside = host.call(callOf({ act: "go" }));
  const late = await host.call(callOf({ act: "go", deadlineMs: 2_000 }));
  expect(late).toMatchObject({ outcome: "timed-out", printed });
  const next = await host.call(callOf());
  expect(next.outcome).toBe("returned");
  expect(pidIn(next.printed)).not.toBe(first);
  expect(isRunning(first)).toBe(true);
  releaseAll();
  expect(await beside).toMatchObject({ outcome: "returned", printed });
  await until("the process of the late call is gone", () => !isRunning(first));
});

test("a call that blocks its process keeps nobody waiting who comes after", async () => {
  await using scripts = await typeScriptScripts();
  const host = await scripts.host({
    text: scriptOf("console.log(process.pid);\nif (request.clientInfo.UV_ACT) for (;;);\nreturn allow();"),
  });
  const blocked = pidIn((await host.call(callOf())).printed);
  let ended = false;
  const stuck = host.call(callOf({ act: "block", deadlineMs: 15_000 })).finally(() => {
    ended = true;
  });
  // Whatever meets the blocked process before it is known to be so ends at its own deadline.
  for (let answers = 0; answers < 20; ) {
    const result = await host.call(callOf({ deadlineMs: 1_000 }));
    if (result.outcome === "returned") answers += 1;
  }
  expect(ended).toBe(false);
  expect((await stuck).outcome).toBe("timed-out");
  await until("the blocked process is gone", () => !isRunning(blocked));
});

test("kill -9 of a process in the middle of calls denies those, and only those", async () => {
  await using scripts = await typeScriptScripts({ workersPerScript: 2 });
  const host = await scripts.host({ text: waiter() });
  const pid = pidIn((await host.call(callOf())).printed);
  const calls = Array.from({ length: 10 }, () => host.call(callOf({ act: "go" })));
  await until("the calls wait for the server", () => waiting.length === 10);
  process.kill(pid, "SIGKILL");
  // The first that is answered is one that died with it.
  expect((await Promise.race(calls)).outcome).toBe("died");
  const next = await host.call(callOf());
  expect(next.outcome).toBe("returned");
  expect(pidIn(next.printed)).not.toBe(pid);
  releaseAll();
  for (const result of await Promise.all(calls)) {
    if (result.outcome === "died") expect(result.message).toContain("SIGKILL");
    else expect(result.outcome).toBe("returned");
  }
});

test("a synchronous script is never called twice at once, not even while a late call may still run", async () => {
  await using scripts = await typeScriptScripts();
  const body = [
    "if (running++ > 0) throw new Error('twice at once');",
    "const late = request.clientInfo.UV_ACT !== undefined;",
    "await new Promise((resolve) => setTimeout(resolve, late ? 600_000 : 5));",
    "running--;",
    "return allow();",
  ].join("\n");
  const host = await scripts.host({ text: `let running = 0;\n${scriptOf(body, "{ synchronous: true }")}` });
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
  await using scripts = await typeScriptScripts();
  const host = await scripts.host({ text: waiter() });
  const { printed } = await host.call(callOf());
  const running = host.call(callOf({ act: "go" }));
  await until("the call waits for the server", () => waiting.length === 1);
  const closed = host.close();
  expect((await host.call(callOf())).outcome).toBe("died");
  expect(isRunning(pidIn(printed))).toBe(true);
  releaseAll();
  expect((await running).outcome).toBe("returned");
  await closed;
  expect(isRunning(pidIn(printed))).toBe(false);
});

test.each(["waits", "is blocked"])(
  "when the daemon is killed, the process of a script that %s is gone",
  async (how) => {
    await using scripts = await typeScriptScripts();
    const text = scriptOf(
      `console.log(process.pid);\n${how === "waits" ? "await new Promise(() => {})" : "for (;;)"};`,
    );
    const loader = new URL("../../../src/runner/typescript/loader.ts", import.meta.url).href;
    const program = `
    const { createTypeScriptLoader } = await import(${JSON.stringify(loader)});
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const load = createTypeScriptLoader({ workingDirectory: ${JSON.stringify(scripts.workingDirectory)}, log });
    const { host } = await load({ name: "script", text: ${JSON.stringify(text)} });
    const call = ${JSON.stringify(callOf())};
    const { printed } = await host.call(call);
    host.call(${JSON.stringify(callOf({ act: "hang", deadlineMs: 600_000 }))});
    setTimeout(() => console.log(printed.trim()), 500);
  `;
    const daemon = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface({ input: daemon.stdout });
    const pid = Number(await new Promise<string>((resolve) => lines.once("line", resolve)));
    expect(pid).toBeGreaterThan(0);
    daemon.kill("SIGKILL");
    await until(`process ${pid} is gone`, () => !isRunning(pid));
  },
);

test("a process leaves nothing behind that a later one finds", async () => {
  await using scripts = await typeScriptScripts();
  const host = await scripts.host({
    text: `let count = 0;\n${scriptOf("count += 1;\nif (count === 2) process.abort();\nreturn allow({ data: { count } });")}`,
  });
  expect(returned(await host.call(callOf())).value).toMatchObject({ count: 1 });
  expect((await host.call(callOf())).outcome).toBe("died");
  expect(returned(await host.call(callOf())).value).toMatchObject({ count: 1 });
});
