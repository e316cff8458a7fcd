import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import type { ConnectionEvent } from "@sallyport/protocol";
import type { HookEvent as SdkEvent } from "@sallyport/sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, expectTypeOf, it } from "vitest";
import type { HookTerms, Telling } from "../../src/core/hook.ts";
import { checkModule } from "../../src/hooks/check/check-module.ts";
import { createModules, type Modules } from "../../src/hooks/kinds/module.ts";
import type { BoundHook } from "../../src/hooks/tell.ts";
import type { LoadScript } from "../../src/runner/runner.ts";
import { createTypeScriptLoader } from "../../src/runner/typescript/loader.ts";
import { until } from "../waiting.ts";
import { hooksOf, silent, terms } from "./hook.ts";
import { openLedger } from "./ledger.ts";

const example = join(import.meta.dirname, "../../../../examples/hooks/inventory.ts");
const account = userInfo().uid === 0 ? { uid: 65_534, gid: 65_534 } : undefined;
let home: string;
let load: LoadScript;
let directory: string;
let modules: Modules;
let path: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "hook-module-home-"));
  load = createTypeScriptLoader({ account, workingDirectory: join(home, "work"), workersPerScript: 1, log: silent });
});
afterAll(() => rm(home, { recursive: true, force: true }));

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "hook-module-"));
  path = join(directory, "hook.ts");
  modules = createModules({ load, log: silent });
});
afterEach(async () => {
  await modules.close();
  await rm(directory, { recursive: true, force: true });
});

const connect: ConnectionEvent = {
  event: "C",
  eventId: "event-1",
  sessionId: "session-1",
  attempt: 1,
  userId: `O'Brien ${"Zoë"}`,
  profileId: "office",
  connectionId: "laptop/1",
  ipFour: "10.42.0.2",
  proto: "openvpn",
  nodeNumber: 0,
  nodeUrl: "https://vpn.example.org",
  nodeHostName: "vpn.example.org",
};
const disconnect: ConnectionEvent = {
  ...connect,
  event: "D",
  eventId: "event-2",
  bytesIn: 1_000,
  bytesOut: 2_000,
  durationSeconds: 60,
  disconnectReason: "client",
};

const source = (body: string) => `import { allow, defineHook, deny } from "@sallyport/sdk";\n${body}\n`;
const write = (body: string) => writeFile(path, source(body));

function tell(event = connect, deadlineMs = 20_000, abort = new AbortController().signal): Promise<Telling> {
  return modules.tell(path)(event, { deadlineMs, abort });
}

function hook(changes: Partial<HookTerms>): BoundHook {
  return { terms: terms("module", changes), tell: modules.tell(path), target: `module ${path}` };
}

describe("a hook module", () => {
  it("gets the event as every other kind does, and what it prints is kept", async () => {
    await write("export default defineHook((event, ctx) => ctx.log(JSON.stringify(event)));");
    expect(await tell()).toMatchObject({ answer: "yes", failure: null, error: null });
    for (const event of [connect, disconnect]) expect(JSON.parse((await tell(event)).output)).toEqual(event);
    expectTypeOf<keyof ConnectionEvent>().toEqualTypeOf<
      SdkEvent extends infer E ? (E extends E ? keyof E : never) : never
    >();
  });

  it.each([
    ["nothing", "() => {}", { answer: "yes" }],
    ["allow()", "() => allow()", { answer: "yes" }],
    ["deny(text)", 'async () => deny("not today")', { answer: "no", error: "not today", clientReason: null }],
    [
      "deny with words for the person",
      '() => deny({ reason: "closed", clientReason: "Come back tomorrow." })',
      { answer: "no", error: "closed", clientReason: "Come back tomorrow." },
    ],
    ["something else", "() => true as never", { answer: "failed", failure: "crashed" }],
    [
      "an exception",
      '() => { console.log("before"); throw new Error("oh"); }',
      { answer: "failed", failure: "crashed" },
    ],
  ])("answers: %s", async (_what, body, expected) => {
    await write(`export default defineHook(${body});`);
    expect(await tell()).toMatchObject(expected);
  });

  it("says what it threw, and where", async () => {
    await write('export default defineHook(() => {\n  console.log("before");\n  throw new Error("oh no");\n});');
    const telling = await tell();
    expect(telling.error).toBe(`${path} threw: oh no`);
    expect(telling.output).toMatch(/^before\n[\s\S]*hook\.ts:4:/);
  });

  it("is given up at the deadline, and those beside it are answered", async () => {
    await write('export default defineHook((event) => (event.event === "C" ? new Promise(() => {}) : undefined));');
    await tell(disconnect);
    const stuck = tell(connect, 500);
    expect(await tell(disconnect)).toMatchObject({ answer: "yes" });
    expect(await stuck).toMatchObject({ answer: "failed", failure: "timed-out" });
    expect(await tell(disconnect)).toMatchObject({ answer: "yes" });
  });

  it("ends at once when the server stops", async () => {
    await write("export default defineHook(() => new Promise(() => {}));");
    const abort = new AbortController();
    const telling = tell(connect, 60_000, abort.signal);
    abort.abort();
    expect(await telling).toMatchObject({ answer: "failed", failure: "crashed" });
  });

  it("has nothing of this machine: no files, no programs", async () => {
    await write(
      `import { readFileSync } from "node:fs";\nimport { execSync } from "node:child_process";\nexport default defineHook((_, ctx) => {\n  for (const act of [() => readFileSync("/etc/passwd"), () => execSync("id")]) {\n    try { act(); ctx.log("did"); } catch (error) { ctx.log((error as { code: string }).code); }\n  }\n});`,
    );
    expect((await tell()).output).toBe("ERR_ACCESS_DENIED\nERR_ACCESS_DENIED\n");
  });
});

describe("a module that", () => {
  it("is not there, cannot be loaded or is no hook is told with the place, and loaded when it is mended", async () => {
    expect(await tell()).toMatchObject({
      answer: "failed",
      failure: "missing",
      error: expect.stringContaining("ENOENT"),
    });
    await writeFile(path, "const broken = ;\n");
    await modules.refresh([path]);
    expect((await tell()).error).toContain(`${path} cannot be loaded: line 1: SyntaxError`);
    await writeFile(
      path,
      'import { allow, definePostAuth } from "@sallyport/sdk";\nexport default definePostAuth(() => allow());\n',
    );
    await modules.refresh([path]);
    expect((await tell()).error).toContain("must have `export default defineHook(…)`");
    await write("export default defineHook(() => {});");
    await modules.refresh([path]);
    expect(await tell()).toMatchObject({ answer: "yes" });
  });

  it("has changed is loaded at the next reload, not before; one that has not is left as it runs", async () => {
    const counting = (name: string) =>
      `let calls = 0;\nexport default defineHook((_, ctx) => ctx.log("${name}", ++calls));`;
    await write(counting("first"));
    await modules.refresh([path]);
    expect((await tell()).output).toBe("first 1\n");
    await modules.refresh([path]);
    expect((await tell()).output).toBe("first 2\n");
    await write(counting("second"));
    expect((await tell()).output).toBe("first 3\n");
    await modules.refresh([path]);
    expect((await tell()).output).toBe("second 1\n");
    // One that cannot be loaded takes nobody's place.
    await writeFile(path, "export default broken(\n");
    await modules.refresh([path]);
    expect((await tell()).output).toBe("second 2\n");
  });

  it("dies is a crash: what it was told of is told again, and its answer as a veto is no", async () => {
    // Only a fault of the engine's own ends the process; this one is as good.
    await write(
      `const hog: unknown[] = [];\nexport default defineHook((event) => {\n  if (event.attempt === 1) for (;;) hog.push(new Array(1_000_000).fill(event));\n});`,
    );
    await using ledger = await openLedger();
    const observing = hooksOf([hook({ deadlineMs: 20_000 })], ledger.store);
    await observing.start();
    const connection = await ledger.admitted(["module"]);
    observing.wake();
    await until("it was told again", async () => (await ledger.deliveries(connection.id))[0]?.state === "done");
    expect(await ledger.deliveries(connection.id)).toMatchObject([{ attempts: 2, state: "done" }]);
    await observing.stop(1_000);
    const asking = hooksOf([hook({ veto: true, deadlineMs: 20_000 })], ledger.store);
    expect(await asking.vetoes.ask(await ledger.reserve())).toMatchObject({ allowed: false, code: "hook-failed" });
    await asking.stop(1_000);
  });

  it("refuses is heard: the log has its reason, the person its words where the hook may show them", async () => {
    await write('export default defineHook(() => deny({ reason: "unknown", clientReason: "Call 1234." }));');
    await using ledger = await openLedger();
    const hooks = hooksOf([hook({ veto: true, showOutput: true })], ledger.store);
    expect(await hooks.vetoes.ask(await ledger.reserve())).toMatchObject({
      allowed: false,
      code: "hook-refused",
      clientReason: "Call 1234.",
    });
    await hooks.stop(1_000);
  });
});

describe("checking a module", () => {
  it("finds wrong types with line and column, and faults of loading", async () => {
    await write(
      'export default defineHook((event) => {\n  const bytes: number = event.userId;\n  return bytes > 1 ? deny("much") : undefined;\n});',
    );
    expect(await checkModule(path, load)).toEqual([
      { severity: "fault", line: 3, column: 9, message: expect.stringContaining("Type 'string' is not assignable") },
    ]);
    // Only disconnects have byte counts.
    await write(
      'export default defineHook((event) => {\n  if (event.event === "C" && event.bytesIn > 1) return deny("much");\n  return allow();\n});',
    );
    expect(await checkModule(path, load)).toMatchObject([{ severity: "fault", line: 3, column: 36 }]);
    expect(await checkModule(join(directory, "no.ts"), load)).toMatchObject([{ severity: "fault", line: null }]);
  }, 60_000);

  it("finds nothing wrong with the example, which does what it says", async () => {
    expect(await checkModule(example, load)).toEqual([]);
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers["idempotency-key"]}`);
      response.writeHead(request.url?.includes("stranger") ? 404 : 200).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      await writeFile(path, (await readFile(example, "utf8")).replace("https://inventory.example.org", url));
      expect(await tell()).toMatchObject({ answer: "yes" });
      expect(await tell({ ...connect, connectionId: "stranger" })).toMatchObject({
        answer: "no",
        clientReason: "Your device is not in the inventory. Call 1234.",
      });
      expect((await tell(disconnect)).output).toBe(`O'Brien Zoë is gone after 60 s (client)\n`);
      expect(asked).toEqual([
        "GET /devices/laptop%2F1 event-1",
        "PUT /online/laptop%2F1 event-1",
        "GET /devices/stranger event-1",
        "DELETE /online/laptop%2F1 event-2",
      ]);
    } finally {
      server.close();
      server.closeAllConnections();
    }
    expect(await tell(disconnect)).toMatchObject({ answer: "failed", failure: "crashed" });
  }, 60_000);
});
