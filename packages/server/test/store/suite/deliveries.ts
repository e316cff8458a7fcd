import { describe, expect, test } from "vitest";
import { SallyportError } from "../../../src/core/errors.ts";
import type { Delivery } from "../../../src/core/hook.ts";
import type { Store } from "../../../src/store/store.ts";
import { admitted, anEnd, aReservation, at, granted, type OpenStore, withStore } from "./rows.ts";

const take = (store: Store, now: number, given: { limit?: number; busy?: string[] } = {}) =>
  store.deliveries.takeDue({ now: at(now), leaseUntil: at(now + 60), limit: 100, busy: [], ...given });

const done = (store: Store, { id }: { id: string }, seconds = 30) =>
  store.deliveries.finish(id, { at: at(seconds), state: "done", durationMs: 12, output: "ok", error: null });

const failed = (store: Store, { id }: { id: string }) =>
  store.deliveries.finish(id, { at: at(30), state: "failed", durationMs: 12, output: "", error: "exit status 1" });

const names = (deliveries: Delivery[]) => deliveries.map(({ hook, event }) => `${hook} ${event}`);

export function deliveriesSuite(open: OpenStore): void {
  vetoes(open);
  queueing(open);
  taking(open);
  finishing(open);
}

function vetoes(open: OpenStore): void {
  describe("telling a veto hook", () => {
    test("stands as running before the hook is started", () =>
      withStore(open, async (store) => {
        const connection = granted(await store.ledger.reserve(aReservation()));
        const told = await store.deliveries.tell({
          sessionId: connection.id,
          hook: "firewall",
          at: at(1),
          leaseUntil: at(60),
        });
        expect(told).toEqual({
          id: told?.id,
          eventId: connection.connectEventId,
          sessionId: connection.id,
          hook: "firewall",
          event: "connect",
          veto: true,
          state: "running",
          attempts: 1,
          nextAt: at(1),
          createdAt: at(1),
          finishedAt: null,
          durationMs: null,
          output: null,
          error: null,
        });
        expect(await store.deliveries.get(told?.id ?? "")).toEqual(told);
      }));

    test("does not happen where the connection has ended, or twice", () =>
      withStore(open, async (store) => {
        const { id: sessionId } = granted(await store.ledger.reserve(aReservation()));
        const telling = { sessionId, hook: "firewall", at: at(1), leaseUntil: at(60) };
        await store.deliveries.tell(telling);
        const error = await store.deliveries.tell(telling).catch((error) => error);
        expect(error).toBeInstanceOf(SallyportError);
        expect(error.code).toBe("conflict");
        await store.ledger.end(sessionId, anEnd());
        expect(await store.deliveries.tell({ ...telling, hook: "other" })).toBeUndefined();
        expect(await store.deliveries.list({ limit: 10 })).toHaveLength(1);
      }));

    test("is over when its lease runs out: it has failed, is not run again, and lets the disconnect go", () =>
      withStore(open, async (store) => {
        const { id: sessionId } = granted(await store.ledger.reserve(aReservation()));
        const told = await store.deliveries.tell({ sessionId, hook: "firewall", at: at(1), leaseUntil: at(60) });
        await store.ledger.end(sessionId, anEnd({ reason: "rejected", subscribers: ["firewall"] }));
        expect(await take(store, 59)).toEqual([]);
        expect(names(await take(store, 60))).toEqual(["firewall disconnect"]);
        expect(await store.deliveries.get(told?.id ?? "")).toMatchObject({ state: "failed", finishedAt: at(60) });
      }));
  });
}

function queueing(open: OpenStore): void {
  describe("deliveries are queued", () => {
    test("for each observer with the admission, carrying the connection's connect event", () =>
      withStore(open, async (store) => {
        const connection = await admitted(store, {}, { observers: ["siem", "inventory"] });
        const queued = await store.deliveries.list({ sessionId: connection.id, limit: 10 });
        expect(names(queued).sort()).toEqual(["inventory connect", "siem connect"]);
        expect(new Set(queued.map(({ eventId }) => eventId))).toEqual(new Set([connection.connectEventId]));
        expect(queued[0]).toMatchObject({
          state: "waiting",
          veto: false,
          attempts: 0,
          nextAt: at(1),
          createdAt: at(1),
        });
      }));

    test("for each hook that has a connect and subscribes, when the connection ends, all with its disconnect event", () =>
      withStore(open, async (store) => {
        const reserved = granted(await store.ledger.reserve(aReservation()));
        const veto = await store.deliveries.tell({ sessionId: reserved.id, hook: "fw", at: at(1), leaseUntil: at(60) });
        await done(store, veto as Delivery);
        await store.ledger.admit(reserved.id, { at: at(1), save: {}, observers: ["siem", "inventory"] });
        await store.ledger.end(reserved.id, anEnd({ subscribers: ["fw", "siem", "never-told"] }));
        const queued = await store.deliveries.list({ event: "disconnect", limit: 10 });
        expect(names(queued).sort()).toEqual(["fw disconnect", "siem disconnect"]);
        expect(new Set(queued.map(({ eventId }) => eventId))).toEqual(new Set([reserved.disconnectEventId]));
        expect(queued[0]).toMatchObject({
          state: "waiting",
          veto: false,
          attempts: 0,
          nextAt: at(10),
          createdAt: at(10),
        });
      }));

    test("once, however many end the connection at the same time", () =>
      withStore(open, async (store) => {
        const { id } = await admitted(store, {}, { observers: ["siem", "inventory"] });
        const ends = await Promise.all(
          Array.from({ length: 100 }, () => store.ledger.end(id, anEnd({ subscribers: ["siem", "inventory"] }))),
        );
        expect(ends.filter(Boolean)).toHaveLength(1);
        const queued = await store.deliveries.list({ sessionId: id, event: "disconnect", limit: 1_000 });
        expect(names(queued).sort()).toEqual(["inventory disconnect", "siem disconnect"]);
      }));
  });
}

function taking(open: OpenStore): void {
  describe("due deliveries", () => {
    test("are taken once, oldest first, and not before their time", () =>
      withStore(open, async (store) => {
        for (const [second, hook] of [
          [3, "b"],
          [1, "d"],
          [2, "c"],
          [9, "a"],
        ] as const) {
          const { id } = granted(await store.ledger.reserve(aReservation()));
          await store.ledger.admit(id, { at: at(second), save: {}, observers: [hook] });
        }
        expect(await take(store, 0)).toEqual([]);
        expect(await store.deliveries.nextDueAt()).toBe(at(1));
        const first = await take(store, 5, { limit: 2 });
        expect(names(first)).toEqual(["d connect", "c connect"]);
        expect(first[0]).toMatchObject({ state: "running", attempts: 1 });
        expect(await store.deliveries.nextDueAt()).toBe(at(3));
        expect(names(await take(store, 5))).toEqual(["b connect"]);
        expect(await take(store, 5)).toEqual([]);
        expect(await store.deliveries.nextDueAt()).toBe(at(9));
      }));

    test("are given to one taker each", () =>
      withStore(open, async (store) => {
        await Promise.all(Array.from({ length: 50 }, () => admitted(store, {}, { observers: ["siem"] })));
        const taken = (await Promise.all(Array.from({ length: 20 }, () => take(store, 5, { limit: 7 })))).flat();
        expect(new Set(taken.map(({ id }) => id)).size).toBe(50);
        expect(taken).toHaveLength(50);
      }));

    test("of a busy hook are left, and do not hide the others behind them", () =>
      withStore(open, async (store) => {
        for (let i = 0; i < 30; i++) await admitted(store, {}, { observers: ["slow"] });
        await admitted(store, {}, { observers: ["quick"] });
        expect(names(await take(store, 5, { limit: 3, busy: ["slow"] }))).toEqual(["quick connect"]);
        expect(await take(store, 5, { limit: 3, busy: ["slow", "quick"] })).toEqual([]);
        expect(names(await take(store, 5, { limit: 1 }))).toEqual(["slow connect"]);
      }));

    test("of a disconnect wait for the connect of the same hook and connection, and for no other", () =>
      withStore(open, async (store) => {
        const first = await admitted(store, {}, { observers: ["siem", "inventory"] });
        const [siem] = await take(store, 5, { busy: ["inventory"] });
        await store.ledger.end(first.id, anEnd({ at: at(6), subscribers: ["siem", "inventory"] }));
        const [inventory] = await take(store, 7);
        expect(names([inventory as Delivery])).toEqual(["inventory connect"]);
        expect(await store.deliveries.nextDueAt()).toBeUndefined();
        await done(store, inventory as Delivery);
        expect(names(await take(store, 7))).toEqual(["inventory disconnect"]);
        await store.deliveries.finish(siem?.id ?? "", {
          at: at(7),
          state: { retryAt: at(20) },
          durationMs: 1,
          output: "",
          error: "no answer",
        });
        expect(await store.deliveries.nextDueAt()).toBe(at(20));
        expect(names(await take(store, 20))).toEqual(["siem connect"]);
        await failed(store, siem as Delivery);
        expect(names(await take(store, 20))).toEqual(["siem disconnect"]);
      }));

    test("whose lease ran out are due again", () =>
      withStore(open, async (store) => {
        await admitted(store, {}, { observers: ["siem"] });
        const [taken] = await take(store, 5);
        expect(await take(store, 64)).toEqual([]);
        expect(await take(store, 65, { busy: ["siem"] })).toEqual([]);
        const [again] = await take(store, 65);
        expect(again).toMatchObject({ id: taken?.id, eventId: taken?.eventId, state: "running", attempts: 2 });
        expect(await take(store, 66)).toEqual([]);
      }));

    test("of a process that is dead are due when it is said, but vetoes have failed", () =>
      withStore(open, async (store) => {
        const vetoed = granted(await store.ledger.reserve(aReservation()));
        const veto = await store.deliveries.tell({ sessionId: vetoed.id, hook: "fw", at: at(1), leaseUntil: at(600) });
        await admitted(store, {}, { observers: ["siem"] });
        const [observed] = await take(store, 5);
        await store.ledger.end(vetoed.id, anEnd({ reason: "rejected", subscribers: ["fw"] }));
        expect(await store.deliveries.abandonRunning(at(10))).toBe(2);
        expect(await store.deliveries.abandonRunning(at(10))).toBe(0);
        expect(await store.deliveries.get(veto?.id ?? "")).toMatchObject({ state: "failed", finishedAt: at(10) });
        expect(await store.deliveries.get(observed?.id ?? "")).toMatchObject({
          state: "waiting",
          nextAt: at(10),
          attempts: 1,
        });
        expect(await take(store, 9)).toEqual([]);
        expect(names(await take(store, 10)).sort()).toEqual(["fw disconnect", "siem connect"]);
      }));
  });
}

function finishing(open: OpenStore): void {
  describe("a finished delivery", () => {
    test("keeps how it came out", () =>
      withStore(open, async (store) => {
        await admitted(store, {}, { observers: ["siem"] });
        const [taken] = await take(store, 5);
        await done(store, taken as Delivery, 6);
        expect(await store.deliveries.get(taken?.id ?? "")).toEqual({
          ...taken,
          state: "done",
          finishedAt: at(6),
          durationMs: 12,
          output: "ok",
          error: null,
        });
        expect(await store.deliveries.get("none")).toBeUndefined();
      }));

    test("is not changed by whoever finishes it second", () =>
      withStore(open, async (store) => {
        await admitted(store, {}, { observers: ["siem"] });
        const [taken] = await take(store, 5);
        await done(store, taken as Delivery);
        await failed(store, taken as Delivery);
        expect((await store.deliveries.get(taken?.id ?? ""))?.state).toBe("done");
        expect(await store.deliveries.retry(taken?.id ?? "", at(40))).toBe(false);
      }));

    test("that failed can be retried, from its first attempt and before its disconnect", () =>
      withStore(open, async (store) => {
        const { id } = await admitted(store, {}, { observers: ["siem"] });
        const [connect] = await take(store, 5);
        await failed(store, connect as Delivery);
        await store.ledger.end(id, anEnd({ subscribers: ["siem"] }));
        expect(await store.deliveries.retry(connect?.id ?? "", at(40))).toBe(true);
        expect(await store.deliveries.get(connect?.id ?? "")).toMatchObject({
          state: "waiting",
          attempts: 0,
          nextAt: at(40),
        });
        expect(names(await take(store, 40))).toEqual(["siem connect"]);
        await done(store, connect as Delivery);
        expect(names(await take(store, 41))).toEqual(["siem disconnect"]);
        expect(await store.deliveries.retry("none", at(40))).toBe(false);
      }));

    test("that is retried goes before a disconnect that somebody began and left", () =>
      withStore(open, async (store) => {
        const { id } = await admitted(store, {}, { observers: ["siem"] });
        const [connect] = await take(store, 5);
        await failed(store, connect as Delivery);
        await store.ledger.end(id, anEnd({ subscribers: ["siem"] }));
        expect(names(await take(store, 10))).toEqual(["siem disconnect"]);
        expect(await store.deliveries.retry(connect?.id ?? "", at(40))).toBe(true);
        expect(names(await take(store, 70))).toEqual(["siem connect"]);
        await done(store, connect as Delivery);
        expect(names(await take(store, 71))).toEqual(["siem disconnect"]);
      }));

    test("of a veto is not retried: the connection was decided without it", () =>
      withStore(open, async (store) => {
        const { id: sessionId } = granted(await store.ledger.reserve(aReservation()));
        const veto = await store.deliveries.tell({ sessionId, hook: "fw", at: at(1), leaseUntil: at(60) });
        await failed(store, veto as Delivery);
        expect(await store.deliveries.retry(veto?.id ?? "", at(40))).toBe(false);
      }));

    test("is listed with the others newest first, by connection, hook, event and state, up to a limit", () =>
      withStore(open, async (store) => {
        const first = await admitted(store, {}, { observers: ["siem"] });
        const [connect] = await take(store, 5);
        await failed(store, connect as Delivery);
        await store.ledger.end(first.id, anEnd({ at: at(6), subscribers: ["siem"] }));
        const second = granted(await store.ledger.reserve(aReservation()));
        await store.ledger.admit(second.id, { at: at(7), save: {}, observers: ["inventory"] });
        const listed = async (filter: Partial<Parameters<typeof store.deliveries.list>[0]>) =>
          names(await store.deliveries.list({ limit: 10, ...filter }));
        expect(await listed({})).toEqual(["inventory connect", "siem disconnect", "siem connect"]);
        expect(await listed({ limit: 1 })).toEqual(["inventory connect"]);
        expect(await listed({ sessionId: first.id })).toEqual(["siem disconnect", "siem connect"]);
        expect(await listed({ hook: "siem", event: "connect" })).toEqual(["siem connect"]);
        expect(await listed({ state: "failed" })).toEqual(["siem connect"]);
        expect(await listed({ state: "waiting" })).toEqual(["inventory connect", "siem disconnect"]);
        expect(await listed({ state: "running" })).toEqual([]);
        expect(await listed({ state: "done" })).toEqual([]);
      }));
  });
}
