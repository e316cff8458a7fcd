import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../waiting.ts";
import { hooksOf, listener, node, program, terms, yes } from "./hook.ts";
import { openLedger, type TestLedger } from "./ledger.ts";

const fixtures = join(import.meta.dirname, "fixtures");
const failed = { ...yes, answer: "failed" as const, failure: "crashed" as const, error: "it crashed" };
let ledger: TestLedger;

beforeEach(async () => {
  ledger = await openLedger();
});
afterEach(() => ledger[Symbol.asyncDispose]());

describe("listing", () => {
  it("shows the hooks in their order, with their terms, by name", () => {
    const hooks = hooksOf(
      [program(join(fixtures, "accept"), { name: "b", veto: true }), listener({ name: "a" })],
      ledger.store,
    );
    const { name: _, ...ofB } = terms("b", { veto: true });
    expect(hooks.operations.list()).toEqual([
      { id: "b", target: `script ${join(fixtures, "accept")}`, ...ofB },
      expect.objectContaining({ id: "a", target: "listener", veto: false }),
    ]);
  });
});

describe("a dry run of a hook", () => {
  it("tells it of a connect and its disconnect that never were, and writes nothing down", async () => {
    const hook = program(join(fixtures, "keep-environment"), { name: "firewall" });
    const trials = await hooksOf([hook], ledger.store).operations.test("firewall");
    expect(trials).toMatchObject([
      { hook: "firewall", event: "connect", answer: "yes", error: null },
      { hook: "firewall", event: "disconnect", answer: "yes", error: null },
    ]);
    const [connect, disconnect] = trials.map(({ output }) => JSON.parse(output).environment);
    expect(connect).toMatchObject({
      VPN_EVENT: "C",
      VPN_USER_ID: "hook-test",
      VPN_IP_FOUR: "192.0.2.10",
      VPN_IP_SIX: "2001:db8::10",
      VPN_ORIGINATING_IP: "198.51.100.7",
      VPN_NODE_NUMBER: String(node.number),
      VPN_ATTEMPT: "1",
      VPN_SESSION_ID: trials[0]?.sessionId,
      VPN_EVENT_ID: trials[0]?.eventId,
    });
    expect(disconnect).toMatchObject({ VPN_EVENT: "D", VPN_DURATION_SECONDS: "60", VPN_DISCONNECT_REASON: "client" });
    expect(disconnect.VPN_SESSION_ID).toBe(connect.VPN_SESSION_ID);
    expect(disconnect.VPN_EVENT_ID).not.toBe(connect.VPN_EVENT_ID);
    expect(await ledger.store.deliveries.list({ limit: 10 })).toEqual([]);
  });

  it("shows how a hook fails", async () => {
    const hooks = hooksOf(
      [program("/opt/no/such/hook", { name: "gone", events: ["connect"], veto: true })],
      ledger.store,
    );
    expect(await hooks.operations.test("gone")).toMatchObject([
      { event: "connect", answer: "failed", failure: "missing", error: expect.stringContaining("does not exist") },
    ]);
  });

  it("can be of one event, which the hook must want", async () => {
    const { operations } = hooksOf([listener({ name: "siem", events: ["disconnect"] })], ledger.store);
    expect(await operations.test("siem", { event: "disconnect" })).toMatchObject([{ event: "disconnect" }]);
    await expect(operations.test("siem", { event: "connect" })).rejects.toMatchObject({ code: "conflict" });
    await expect(operations.test("nobody")).rejects.toMatchObject({ code: "not-found" });
  });
});

describe("discarding a delivery", () => {
  it("that was given up decides about it, and lets the disconnect go that waits for it", async () => {
    const siem = listener({ name: "siem" }, ({ event }) => (event === "C" ? failed : yes));
    siem.terms.retry = { attempts: 9, firstWaitMs: 3_600_000, longestWaitMs: 3_600_000 };
    const hooks = hooksOf([siem], ledger.store);
    await hooks.start();
    const { id } = await ledger.admitted(hooks.observers());
    await ledger.end(id, hooks.subscribers());
    hooks.wake();
    const waits = await until("the connect waits for its next attempt", async () =>
      (await ledger.deliveries(id)).find(
        ({ event, state, attempts }) => event === "connect" && state === "waiting" && attempts === 1,
      ),
    );
    expect(await hooks.operations.discard(waits.id)).toMatchObject({ state: "discarded", error: "it crashed" });
    await until("the disconnect is told", async () =>
      (await ledger.deliveries(id)).some(({ state }) => state === "done"),
    );
    expect(siem.told.map(({ event }) => event)).toEqual(["C", "D"]);
    for (const again of [hooks.operations.discard, hooks.operations.retry])
      await expect(again(waits.id)).rejects.toMatchObject({
        code: "conflict",
        message: expect.stringContaining("is discarded"),
      });
    await expect(hooks.operations.discard("nothing")).rejects.toMatchObject({ code: "not-found" });
    await hooks.stop(1_000);
  });
});

describe("retrying a delivery", () => {
  it("that was given up begins anew", async () => {
    let broken = true;
    const siem = listener({ name: "siem", retry: { attempts: 1, firstWaitMs: 1, longestWaitMs: 1 } }, () =>
      broken ? failed : yes,
    );
    const hooks = hooksOf([siem], ledger.store);
    await hooks.start();
    const { id } = await ledger.admitted(hooks.observers());
    hooks.wake();
    const [given] = await until("it is given up", () =>
      hooks.operations.deliveries({ state: "failed", limit: 1 }).then((d) => d.length > 0 && d),
    );
    expect(given).toMatchObject({ sessionId: id, hook: "siem", error: "it crashed" });
    broken = false;
    expect(await hooks.operations.retry(given?.id ?? "")).toMatchObject({ id: given?.id });
    await until("it is done", async () => (await ledger.deliveries(id))[0]?.state === "done");
    expect(siem.told.map(({ attempt, eventId }) => [attempt, eventId])).toEqual([
      [1, given?.eventId],
      [1, given?.eventId],
    ]);
    await expect(hooks.operations.retry(given?.id ?? "")).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("is done"),
    });
    await hooks.stop(1_000);
  });

  it("that does not exist is refused", async () => {
    await expect(hooksOf([], ledger.store).operations.retry("nothing")).rejects.toMatchObject({ code: "not-found" });
  });

  it("of a veto is refused: the connection was decided without it", async () => {
    const hooks = hooksOf([listener({ name: "gate", veto: true }, () => failed)], ledger.store);
    const connection = await ledger.reserve();
    await hooks.vetoes.ask(connection);
    const [delivery] = await ledger.deliveries(connection.id);
    await expect(hooks.operations.retry(delivery?.id ?? "")).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("veto"),
    });
  });

  it("of a connect is refused once the hook knows of the disconnect", async () => {
    const retry = { attempts: 1, firstWaitMs: 1, longestWaitMs: 1 };
    const siem = listener({ name: "siem", retry }, ({ event }) => (event === "C" ? failed : yes));
    const hooks = hooksOf([siem], ledger.store);
    await hooks.start();
    const { id } = await ledger.admitted(hooks.observers());
    await ledger.end(id, hooks.subscribers());
    hooks.wake();
    await until("the disconnect is delivered", async () =>
      (await ledger.deliveries(id)).some(({ state }) => state === "done"),
    );
    const [connect] = await ledger.store.deliveries.list({ sessionId: id, event: "connect", limit: 1 });
    await expect(hooks.operations.retry(connect?.id ?? "")).rejects.toMatchObject({ code: "conflict" });
    await hooks.stop(1_000);
  });
});
