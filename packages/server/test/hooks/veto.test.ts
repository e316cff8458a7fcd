import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { lastLine } from "../../src/hooks/veto.ts";
import { ask, fixtures, ledger, no, veto } from "./asking.ts";
import { hooksOf, listener, program, yes } from "./hook.ts";

describe("veto hooks", () => {
  it("are asked once each, in the configured order, and all must say yes", async () => {
    const order: string[] = [];
    const hooks = ["first", "second", "third"].map((name) =>
      listener({ name, veto: true }, () => {
        order.push(name);
        return yes;
      }),
    );
    expect((await ask(hooks)).answer).toMatchObject({ allowed: true });
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
    expect((await ask([observer, late])).answer).toMatchObject({ allowed: true });
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
    expect(await hooks.vetoes.ask(after)).toMatchObject({ allowed: true });
    await hooks.stop(5_000);
    expect(order).toEqual(["C before", "D before", "C after"]);
  });

  it("does not keep the next holder out when the hook cannot be told", async () => {
    const firewall = listener({ name: "firewall", veto: true, deadlineMs: 2_000 }, ({ event }) =>
      event === "C" ? yes : { ...no, answer: "failed", failure: "crashed" },
    );
    const hooks = hooksOf([firewall], ledger.store);
    await hooks.start();
    const before = await ledger.reserve({ ipv4: "10.9.0.77" });
    await hooks.vetoes.ask(before);
    await ledger.end(before.id, ["firewall"]);
    const after = await ledger.reserve({ ipv4: "10.9.0.77" });
    expect(await hooks.vetoes.ask(after)).toMatchObject({ allowed: true });
    await hooks.stop(5_000);
  });
});

it("a yes that cannot be written down is told, and a no rejects the question: nobody is let in by a fault", async () => {
  const { store } = ledger;
  const broken = {
    ...store,
    deliveries: { ...store.deliveries, finish: () => Promise.reject(new Error("disk full")) },
  };
  const allowed = await hooksOf([veto("gate"), veto("second")], broken).vetoes.ask(await ledger.reserve());
  await expect("recorded" in allowed && allowed.recorded).rejects.toThrow("disk full");
  const refused = hooksOf([veto("gate"), veto("second", no)], broken).vetoes.ask(await ledger.reserve());
  await expect(refused).rejects.toThrow("disk full");
});
