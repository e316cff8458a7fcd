import { access, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HookTerms } from "../../src/core/hook.ts";
import type { BoundHook } from "../../src/hooks/tell.ts";
import { lastLine } from "../../src/hooks/veto.ts";
import { hooksOf, listener, program, yes } from "./hook.ts";
import { openLedger, type TestLedger } from "./ledger.ts";
import { until } from "./until.ts";

const fixtures = join(import.meta.dirname, "fixtures");
const no = { ...yes, answer: "no" as const, output: "checking\nnot you\n", error: "exit status 1" };
let ledger: TestLedger;

beforeEach(async () => {
  ledger = await openLedger();
});
afterEach(() => ledger[Symbol.asyncDispose]());

const veto = (name: string, answer = yes, changes: Partial<HookTerms> = {}) =>
  listener({ name, veto: true, ...changes }, () => answer);

async function ask(hooks: readonly BoundHook[]) {
  const connection = await ledger.reserve({ userId: "alice" });
  return { connection, answer: await hooksOf(hooks, ledger.store).vetoes.ask(connection) };
}

describe("veto hooks", () => {
  it("are asked once each, in the configured order, and all must say yes", async () => {
    const order: string[] = [];
    const hooks = ["first", "second", "third"].map((name) =>
      listener({ name, veto: true }, () => {
        order.push(name);
        return yes;
      }),
    );
    expect((await ask(hooks)).answer).toEqual({ allowed: true });
    expect(order).toEqual(["first", "second", "third"]);
  });

  it("end it with the first no; those after it are never told", async () => {
    const hooks = [veto("first"), veto("second", no), veto("third")];
    const { connection, answer } = await ask(hooks);
    expect(answer).toEqual({
      allowed: false,
      code: "hook-refused",
      hook: "second",
      reason: "hook second refused: not you",
      clientReason: null,
    });
    expect(hooks.map(({ told }) => told.length)).toEqual([1, 1, 0]);
    const told = await ledger.deliveries(connection.id);
    expect(told.toSorted((a, b) => a.hook.localeCompare(b.hook))).toMatchObject([
      { hook: "first", state: "done", veto: true, event: "connect", error: null },
      { hook: "second", state: "done", veto: true, output: "checking\nnot you\n", error: "exit status 1" },
    ]);
  });

  it("are the only ones asked: observers, and hooks for disconnects alone, stop nobody", async () => {
    const observer = listener({ name: "observer" }, () => no);
    const late = veto("late", no, { events: ["disconnect"] });
    expect((await ask([observer, late])).answer).toEqual({ allowed: true });
    expect([observer.told, late.told]).toEqual([[], []]);
  });

  it("stand in the store as running before they start", async () => {
    const seen: unknown[] = [];
    const hook = listener({ name: "gate", veto: true }, async ({ sessionId, eventId, attempt }) => {
      seen.push(await ledger.deliveries(sessionId), eventId, attempt);
      return yes;
    });
    const { connection } = await ask([hook]);
    expect(seen).toMatchObject([[{ hook: "gate", state: "running", veto: true }], connection.connectEventId, 1]);
  });

  it("are told of the connection as it is in the ledger", async () => {
    const hook = veto("gate");
    const { connection } = await ask([hook]);
    expect(hook.told).toMatchObject([
      {
        event: "C",
        sessionId: connection.id,
        userId: "alice",
        ipFour: connection.ipv4,
        originatingIp: "198.51.100.20",
      },
    ]);
  });

  it("are not asked about a connection that has ended", async () => {
    const connection = await ledger.reserve();
    await ledger.end(connection.id, []);
    const hook = veto("gate");
    expect(await hooksOf([hook], ledger.store).vetoes.ask(connection)).toMatchObject({
      allowed: false,
      code: "connection-ended",
    });
    expect(hook.told).toEqual([]);
  });

  it("stop asking when the connection ends meanwhile", async () => {
    const first = listener({ name: "first", veto: true }, async ({ sessionId }) => {
      await ledger.end(sessionId, []);
      return yes;
    });
    const second = veto("second");
    expect((await ask([first, second])).answer).toMatchObject({ allowed: false, code: "connection-ended" });
    expect(second.told).toEqual([]);
  });
});

describe("a veto that gives no answer", () => {
  const failing = { ...yes, answer: "failed" as const, failure: "missing" as const, error: "it is not there" };

  it.each([
    ["missing", "hook-failed"],
    ["crashed", "hook-failed"],
    ["unreachable", "hook-failed"],
    ["timed-out", "hook-timed-out"],
  ] as const)("because it is %s refuses as %s", async (failure, code) => {
    const { connection, answer } = await ask([veto("gate", { ...failing, failure })]);
    expect(answer).toEqual({
      allowed: false,
      code,
      hook: "gate",
      reason: "hook gate gave no answer: it is not there",
      clientReason: null,
    });
    expect(await ledger.deliveries(connection.id)).toMatchObject([{ state: "failed", error: "it is not there" }]);
  });

  it("refuses when it throws", async () => {
    const hook = listener({ name: "gate", veto: true }, () => {
      throw new Error("a fault of ours");
    });
    expect((await ask([hook])).answer).toMatchObject({
      code: "hook-failed",
      reason: expect.stringContaining("a fault of ours"),
    });
  });

  it("lets in where an administrator wrote that down, and goes on to the next", async () => {
    const second = veto("second");
    expect((await ask([veto("first", failing, { onFailure: "allow" }), second])).answer).toEqual({ allowed: true });
    expect(second.told).toHaveLength(1);
    expect((await ask([veto("first", no, { onFailure: "allow" })])).answer).toMatchObject({ code: "hook-refused" });
  });

  it("refuses for want of a turn, without having been told, when too many are being asked", async () => {
    const gate = Promise.withResolvers<typeof yes>();
    const hook = listener({ name: "gate", veto: true, deadlineMs: 1_000, concurrency: 1 }, () => gate.promise);
    const { vetoes } = hooksOf([hook], ledger.store, { bounds: { deliveries: 1, waiting: 1 } });
    const [first, second, third] = await Promise.all([ledger.reserve(), ledger.reserve(), ledger.reserve()]);
    const asked = vetoes.ask(first);
    await until("the first is being asked", () => hook.told.length === 1);
    const waiting = vetoes.ask(second);
    expect(await vetoes.ask(third)).toMatchObject({ allowed: false, code: "too-busy" });
    expect(await waiting).toMatchObject({ allowed: false, code: "too-busy" });
    gate.resolve(yes);
    expect(await asked).toEqual({ allowed: true });
    expect(hook.told).toHaveLength(1);
    expect(await ledger.deliveries(second.id)).toEqual([]);
    expect(await vetoes.ask(second)).toEqual({ allowed: true });
  });
});

describe("a script that misbehaves", () => {
  const own = async (name: string, text: string) => {
    const path = join(ledger.directory, name);
    await writeFile(path, text, { mode: 0o755 });
    return path;
  };
  const refusedAgain = async (hooks: ReturnType<typeof hooksOf>) => {
    const { id, ...rest } = await ledger.reserve();
    expect(await hooks.vetoes.ask({ id, ...rest })).toMatchObject({ code: expect.stringMatching(/hook-/) });
  };

  it.each([
    ["hangs", "#!/bin/sh\nwhile :; do sleep 1; done\n", "hook-timed-out", "did not end within"],
    [
      "ignores being asked to stop",
      "#!/bin/sh\ntrap '' TERM INT HUP\nsleep 60 & wait\nsleep 60\n",
      "hook-timed-out",
      "killed",
    ],
    ["is missing", null, "hook-failed", "does not exist"],
  ])(
    "because it %s refuses with a reason at its deadline, and an observer is told meanwhile",
    async (_, text, code, why) => {
      const path = text === null ? join(ledger.directory, "nothing") : await own("gate", text);
      const observer = listener({ name: "observer" });
      const hooks = hooksOf([program(path, { name: "gate", veto: true, deadlineMs: 800 }), observer], ledger.store);
      await hooks.start();
      const asked = hooks.vetoes.ask(await ledger.reserve());
      await ledger.admitted(["observer"]);
      hooks.wake();
      await until("the observer has heard", () => observer.told.length === 1);
      expect(await asked).toMatchObject({ allowed: false, code, reason: expect.stringContaining(why) });
      await refusedAgain(hooks);
      await hooks.stop(1_000);
    },
  );

  it("because it leaves a child that holds its output open has answered when it ends itself", async () => {
    const path = await own("holds", "#!/bin/sh\necho welcome\nsleep 20 &\nexit 0\n");
    const connection = await ledger.reserve();
    const hooks = hooksOf([program(path, { name: "gate", veto: true, deadlineMs: 15_000 })], ledger.store);
    expect(await hooks.vetoes.ask(connection)).toEqual({ allowed: true });
    expect(await ledger.deliveries(connection.id)).toMatchObject([{ state: "done", output: "welcome\n" }]);
  });

  it("because it is replaced while it runs ends as it began, and the next is asked of the new one", async () => {
    const gate = join(ledger.directory, "go-on");
    const path = await own(
      "gate",
      `#!/bin/sh\ntouch ${gate}.begun; while [ ! -e ${gate} ]; do sleep 0.02; done\nexit 0\n`,
    );
    const hooks = hooksOf([program(path, { name: "gate", veto: true })], ledger.store);
    const asked = hooks.vetoes.ask(await ledger.reserve());
    await until("it runs", () =>
      access(`${gate}.begun`).then(
        () => true,
        () => false,
      ),
    );
    await rename(await own("gate.new", "#!/bin/sh\necho closed\nexit 1\n"), path);
    expect(await hooks.vetoes.ask(await ledger.reserve())).toMatchObject({ code: "hook-refused" });
    await writeFile(gate, "");
    expect(await asked).toEqual({ allowed: true });
  });
});

describe("a veto hook's concurrency", () => {
  it("bounds questions and tellings together, and questions go first", async () => {
    let [now, most] = [0, 0];
    const gate = listener({ name: "gate", veto: true, concurrency: 1 }, async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      now -= 1;
      return yes;
    });
    const hooks = hooksOf([gate], ledger.store);
    await hooks.start();
    const connections = await Promise.all(Array.from({ length: 8 }, () => ledger.reserve()));
    const answers = connections.map(async (connection) => {
      const answer = await hooks.vetoes.ask(connection);
      await ledger.end(connection.id, hooks.subscribers());
      hooks.wake();
      return answer;
    });
    expect((await Promise.all(answers)).every(({ allowed }) => allowed)).toBe(true);
    await until("every end is told", () => gate.told.length === 16);
    await hooks.stop(5_000);
    expect(most).toBe(1);
  });

  it("keeps half of its turns for questions while ends hang", async () => {
    const hung = Promise.withResolvers<typeof yes>();
    const gate = listener({ name: "gate", veto: true, concurrency: 4 }, ({ event }) =>
      event === "C" ? yes : hung.promise,
    );
    const hooks = hooksOf([gate], ledger.store);
    await hooks.start();
    for (let i = 0; i < 5; i += 1) {
      const { id } = await ledger.reserve();
      await ledger.store.deliveries.tell({
        sessionId: id,
        hook: "gate",
        at: "2026-01-01T00:00:00.000Z",
        leaseUntil: "9",
      });
      await ledger.end(id, ["gate"]);
    }
    await ledger.store.deliveries.abandonRunning(new Date().toISOString());
    hooks.wake();
    await until("two of them hang", () => gate.told.length === 2);
    expect(await hooks.vetoes.ask(await ledger.reserve())).toEqual({ allowed: true });
    expect(gate.told.map(({ event }) => event)).toEqual(["D", "D", "C"]);
    hung.resolve(yes);
    await hooks.stop(5_000);
  });
});

describe("when the server stops", () => {
  it.each(["deny", "allow"] as const)(
    "the program asked is ended, and nobody is let in (onFailure: %s)",
    async (onFailure) => {
      const hung = program(join(fixtures, "hang"), { veto: true, onFailure, showOutput: true });
      const hooks = hooksOf([hung], ledger.store);
      const [first, second] = await Promise.all([ledger.reserve(), ledger.reserve()]);
      const asked = hooks.vetoes.ask(first);
      await until("it is being asked", async () => (await ledger.deliveries(first.id)).length === 1);
      hooks.endVetoes();
      const answer = { allowed: false, code: "server-restarting", clientReason: null };
      expect(await asked).toMatchObject(answer);
      expect(await hooks.vetoes.ask(second)).toMatchObject(answer);
    },
  );
});

describe("what a refused person reads", () => {
  it("is what the hook says is for them, where it tells that apart from its output", async () => {
    const said = { ...no, clientReason: "Enrol your laptop first.", error: "answered 403" };
    expect((await ask([veto("gate", said, { showOutput: true })])).answer).toMatchObject({
      reason: "hook gate refused: Enrol your laptop first.",
      clientReason: "Enrol your laptop first.",
    });
    const silent = { ...said, clientReason: null };
    expect((await ask([veto("gate", silent, { showOutput: true })])).answer).toMatchObject({
      reason: "hook gate refused: answered 403",
      clientReason: null,
    });
  });

  it("is the last line printed where the hook says so, without what could harm a terminal", async () => {
    const refuse = join(fixtures, "refuse");
    const shown = await ask([program(refuse, { veto: true, showOutput: true })]);
    expect(shown.answer).toMatchObject({ code: "hook-refused", clientReason: "Come back tomorrow." });
    const hidden = await ask([program(refuse, { veto: true })]);
    expect(hidden.answer).toMatchObject({ code: "hook-refused", clientReason: null });
  });

  it("is never what a hook printed that failed", async () => {
    const { answer } = await ask([
      program(join(fixtures, "hang"), { veto: true, showOutput: true, deadlineMs: 1_000 }),
    ]);
    expect(answer).toMatchObject({ code: "hook-timed-out", clientReason: null });
  });

  it("is bounded, and nothing where nothing was printed", () => {
    expect([...(lastLine(`${"é🦊".repeat(500)}\n`) ?? "")]).toHaveLength(200);
    expect(lastLine("")).toBeNull();
    expect(lastLine(" \n\u0007\r\n")).toBeNull();
  });
});

describe("who held an address before", () => {
  it("is gone for the hook before it is asked about the next holder", async () => {
    const order: string[] = [];
    const firewall = listener({ name: "firewall", veto: true }, ({ event, userId }) => {
      order.push(`${event} ${userId}`);
      return yes;
    });
    const hooks = hooksOf([firewall], ledger.store);
    await hooks.start();
    const before = await ledger.reserve({ userId: "before", ipv4: "10.9.0.77" });
    await hooks.vetoes.ask(before);
    await ledger.end(before.id, ["firewall"]);
    const after = await ledger.reserve({ userId: "after", ipv4: "10.9.0.77" });
    expect(await hooks.vetoes.ask(after)).toEqual({ allowed: true });
    await hooks.stop(5_000);
    expect(order).toEqual(["C before", "D before", "C after"]);
  });

  it("does not keep the next holder out when the hook cannot be told", async () => {
    const firewall = listener({ name: "firewall", veto: true, deadlineMs: 400 }, ({ event }) =>
      event === "C" ? yes : { ...no, answer: "failed", failure: "crashed" },
    );
    const hooks = hooksOf([firewall], ledger.store);
    await hooks.start();
    const before = await ledger.reserve({ ipv4: "10.9.0.77" });
    await hooks.vetoes.ask(before);
    await ledger.end(before.id, ["firewall"]);
    const after = await ledger.reserve({ ipv4: "10.9.0.77" });
    expect(await hooks.vetoes.ask(after)).toEqual({ allowed: true });
    await hooks.stop(5_000);
  });
});

it("a store that fails rejects the question: nobody is let in by a fault", async () => {
  const connection = await ledger.reserve();
  const { store } = ledger;
  const broken = {
    ...store,
    deliveries: { ...store.deliveries, finish: () => Promise.reject(new Error("disk full")) },
  };
  await expect(hooksOf([veto("gate")], broken).vetoes.ask(connection)).rejects.toThrow("disk full");
});
