import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Connection, EndReason } from "../../src/core/connection.ts";
import type { Hooks } from "../../src/hooks/dispatch.ts";
import { withGrace } from "../../src/hooks/grace.ts";
import type { BoundHook } from "../../src/hooks/tell.ts";
import type { Ledger, Store } from "../../src/store/store.ts";
import { until } from "../waiting.ts";
import { hooksOf, listener } from "./hook.ts";
import { openLedger, reservationFor, type TestLedger } from "./ledger.ts";

const graceMs = 60_000;
let ledger: TestLedger;
let aheadMs: number;
let started: Hooks[];

beforeEach(async () => {
  ledger = await openLedger();
  [aheadMs, started] = [0, []];
});
afterEach(async () => {
  await Promise.all(started.map((hooks) => hooks.stop(0)));
  await ledger[Symbol.asyncDispose]();
});

const now = () => new Date(Date.now() + aheadMs).toISOString();
const chat = (changes: Parameters<typeof listener>[0] = {}) => listener({ name: "chat", graceMs, ...changes });

/** The steps of a connection's life as the lifecycle takes them, with hooks that have grace periods. */
async function daemon(hooks: readonly BoundHook[], store: Store = ledger.store) {
  const working = hooksOf(hooks, store, { clock: () => Date.now() + aheadMs });
  started.push(working);
  await working.start();
  const rows: Ledger = withGrace(store.ledger, working.graceMs);
  const subscribers = working.subscribers();
  return {
    hooks: working,
    async connect(changes: Partial<Connection> = {}): Promise<Connection> {
      const given = { userId: "alice", connectionId: "laptop", reservedAt: now(), ...changes };
      const reservation = { ...reservationFor(given), subscribers };
      let reserved = await rows.reserve(reservation);
      if ("refused" in reserved) reserved = await rows.reserve(reservation);
      if ("refused" in reserved) throw new Error(reserved.refused);
      const { connection } = reserved;
      if (!(await working.vetoes.ask(connection)).allowed) throw new Error("refused");
      await rows.admit(connection.id, { at: now(), save: {}, observers: working.observers() });
      await rows.established(connection.id, now());
      working.wake();
      return connection;
    },
    async end({ id }: Connection, reason: EndReason = "client", release = true): Promise<void> {
      const counts = { bytesIn: 1_000, bytesOut: 2_000 };
      await rows.end(id, { at: now(), reason, detail: null, counts, release, subscribers });
      working.wake();
    },
    /** Nothing is due any more; what is held back waits on. */
    async settled(): Promise<void> {
      await until("nothing is due", async () => {
        working.wake();
        const waiting = await store.deliveries.list({ limit: 1_000 });
        return waiting.every(({ state, nextAt }) => state !== "running" && (state !== "waiting" || nextAt > now()));
      });
    },
  };
}

const heard = (hook: { told: { event: string; sessionId: string }[] }) =>
  hook.told.map(({ event, sessionId }) => `${event} ${sessionId}`);

describe("a hook with a grace period", () => {
  it("hears nothing of a device that is back in time, and of its end as of one connection", async () => {
    const hook = chat();
    const other = listener({ name: "other" });
    const { connect, end, settled } = await daemon([hook, other]);
    const first = await connect();
    await settled();
    aheadMs += 5_000;
    await end(first);
    aheadMs += 30_000;
    const second = await connect();
    aheadMs += 5_000;
    await end(second);
    aheadMs += 40_000;
    const third = await connect();
    await settled();
    expect(heard(hook)).toEqual([`C ${first.id}`]);
    aheadMs += 5_000;
    await end(third, "expired");
    await settled();
    expect(heard(hook)).toEqual([`C ${first.id}`, `D ${first.id}`]);
    expect(hook.told[1]).toMatchObject({
      eventId: third.disconnectEventId,
      bytesIn: 3_000,
      bytesOut: 6_000,
      disconnectReason: "expired",
      ipFour: first.ipv4,
    });
    expect(hook.told[1]?.durationSeconds).toBeGreaterThanOrEqual(85);
    expect(other.told).toHaveLength(6);
  });

  it("hears of the end when the device is not back in time, and then of the next connect", async () => {
    const hook = chat();
    const { connect, end, settled } = await daemon([hook]);
    const first = await connect();
    await settled();
    await end(first);
    await settled();
    expect(heard(hook)).toEqual([`C ${first.id}`]);
    aheadMs += graceMs;
    await settled();
    expect(heard(hook)).toEqual([`C ${first.id}`, `D ${first.id}`]);
    const second = await connect();
    await settled();
    expect(heard(hook).at(-1)).toBe(`C ${second.id}`);
  });

  it.each(["admin", "disabled", "expired"] as const)("hears at once of who was sent away (%s)", async (reason) => {
    const hook = chat();
    const { connect, end, settled } = await daemon([hook]);
    const connection = await connect();
    await settled();
    await end(connection, reason);
    await settled();
    expect(heard(hook)).toEqual([`C ${connection.id}`, `D ${connection.id}`]);
  });

  it("takes another device, user or profile for nobody it knows", async () => {
    const hook = chat();
    const { connect, end, settled } = await daemon([hook]);
    await end(await connect());
    await settled();
    for (const other of [{ connectionId: "phone" }, { userId: "bob" }, { profileId: "lab" }]) await connect(other);
    await settled();
    expect(hook.told.map(({ event }) => event)).toEqual(["C", "C", "C", "C"]);
  });

  it("is told of both where the device did not get its address back", async () => {
    const hook = chat();
    const { connect, end, settled } = await daemon([hook]);
    const first = await connect();
    await settled();
    await end(first);
    const taken = await ledger.reserve({ ...(first.ipv4 && { ipv4: first.ipv4 }) });
    const second = await connect();
    expect(second.ipv4).not.toBe(taken.ipv4);
    await settled();
    expect(heard(hook).toSorted()).toEqual([`C ${first.id}`, `C ${second.id}`, `D ${first.id}`].toSorted());
  });

  it("has its device wait a first time for the address that its old tunnel still holds", async () => {
    const hook = chat();
    const { connect, end } = await daemon([hook]);
    const first = await connect();
    await end(first, "client", false);
    const rows = withGrace(ledger.store.ledger, () => ({ chat: graceMs }));
    const reservation = { ...reservationFor({ userId: "alice", connectionId: "laptop" }), subscribers: ["chat"] };
    expect(await rows.reserve(reservation)).toMatchObject({ refused: "address-in-use", heldBy: first.id });
    expect(await rows.reserve(reservation)).toMatchObject({
      connection: { ipv4: expect.not.stringMatching(first.ipv4 ?? "") },
    });
    await rows.release(first.id);
    const again = { ...reservationFor({ userId: "alice", connectionId: "laptop" }), subscribers: ["chat"] };
    expect(await rows.reserve(again)).toMatchObject({ connection: { ipv4: first.ipv4 } });
  });

  it("hears of the first connect before anything else, however late it is told", async () => {
    const gate = Promise.withResolvers<void>();
    const hook = listener({ name: "chat", graceMs }, async ({ sessionId }) => {
      if (sessionId === first.id) await gate.promise;
      return { answer: "yes", failure: null, error: null, output: "", durationMs: 1 };
    });
    const { connect, end, settled } = await daemon([hook]);
    const first = await connect();
    await until("it is being told", () => hook.told.length === 1);
    await end(first);
    const second = await connect();
    gate.resolve();
    await settled();
    expect(heard(hook).slice(0, 1)).toEqual([`C ${first.id}`]);
    expect(heard(hook).toSorted()).toEqual([`C ${first.id}`, `C ${second.id}`, `D ${first.id}`].toSorted());
  });

  it("that is told of connects alone hears of one", async () => {
    const hook = chat({ events: ["connect"] });
    const { connect, end, settled } = await daemon([hook]);
    const first = await connect();
    await settled();
    await end(first);
    await connect();
    await settled();
    expect(heard(hook)).toEqual([`C ${first.id}`]);
  });

  it("keeps its word over the end of the daemon", async () => {
    const before = await daemon([chat()]);
    const first = await before.connect();
    await before.settled();
    await before.end(first, "shutdown");
    await before.hooks.stop(1_000);
    const hook = chat();
    const { connect, end, settled } = await daemon([hook]);
    const second = await connect();
    await settled();
    expect(hook.told).toEqual([]);
    await end(second, "admin");
    await settled();
    expect(heard(hook)).toEqual([`D ${first.id}`]);
  });
});

it("a veto hook is asked each time and told of each end, also while others have a grace period", async () => {
  const gate = listener({ name: "gate", veto: true });
  const { connect, end, settled } = await daemon([gate, chat()]);
  const first = await connect();
  await end(first);
  const second = await connect();
  await settled();
  expect(heard(gate)).toEqual([`C ${first.id}`, `D ${first.id}`, `C ${second.id}`]);
});
