import { describe, expect, test } from "vitest";
import type { Store } from "../../../src/store/store.ts";
import { admitted, anEnd, at, type OpenStore, withStore } from "./rows.ts";

export function pruningSuite(open: OpenStore): void {
  /** One that ended, and was told to `hook`, or not yet. */
  const past = async (store: Store, ended: number, state: "done" | "failed" | "waiting" = "done") => {
    const { id } = await admitted(store, { reservedAt: at(ended - 1) }, { observers: ["hook"] });
    await store.ledger.end(id, anEnd({ at: at(ended), release: true, subscribers: ["hook"] }));
    if (state === "waiting") return id;
    for (const event of ["connect", "disconnect"] as const) {
      const due = { now: at(ended + 1), leaseUntil: at(ended + 9), limit: 99, busy: [] };
      const taken = await store.deliveries.takeDue(due);
      for (const one of taken.filter((delivery) => delivery.event === event && delivery.sessionId === id)) {
        const result = { at: at(ended + 2), state: event === "connect" ? ("done" as const) : state };
        await store.deliveries.finish(one.id, { ...result, durationMs: 1, output: "", error: null });
      }
    }
    return id;
  };
  const left = async (store: Store) => (await store.ledger.list({ limit: 9_999 })).map(({ id }) => id).toSorted();

  describe("pruning", () => {
    test("what ended before is deleted with its deliveries; what is open, younger or not told to everybody stays", () =>
      withStore(open, async (store) => {
        const old = await past(store, 10);
        const young = await past(store, 100);
        const failed = await past(store, 10, "failed");
        const waiting = await past(store, 10, "waiting");
        const { id: here } = await admitted(store, { reservedAt: at(1) });
        const { id: held } = await admitted(store, { reservedAt: at(1) });
        await store.ledger.end(held, anEnd({ at: at(2), release: false }));
        expect(await store.ledger.prune(at(50))).toBe(1);
        expect(await left(store)).toEqual([young, failed, waiting, here, held].toSorted());
        expect(await store.deliveries.list({ sessionId: old, limit: 9 })).toEqual([]);
        expect(await store.deliveries.list({ sessionId: failed, limit: 9 })).toHaveLength(2);
      }));

    test("deliveries that are done go before their connections, all of one together", () =>
      withStore(open, async (store) => {
        const old = await past(store, 10);
        const failed = await past(store, 10, "failed");
        const { id: here } = await admitted(store, { reservedAt: at(1) }, { observers: ["hook"] });
        expect(await store.deliveries.prune(at(50))).toBe(2);
        expect(await store.deliveries.list({ sessionId: old, limit: 9 })).toEqual([]);
        expect(await store.deliveries.list({ sessionId: failed, limit: 9 })).toHaveLength(2);
        expect(await store.deliveries.list({ sessionId: here, limit: 9 })).toHaveLength(1);
        expect(await left(store)).toEqual([old, failed, here].toSorted());
      }));

    test("more than one step's worth goes, and two who do it at once delete each once", () =>
      withStore(open, async (store) => {
        for (let i = 0; i < 520; i += 1) {
          const { id } = await admitted(store, { reservedAt: at(i) });
          await store.ledger.end(id, anEnd({ at: at(i + 1), release: true }));
        }
        const [one, other] = await Promise.all([store.ledger.prune(at(9_999)), store.ledger.prune(at(9_999))]);
        expect(one + other).toBe(520);
        expect(await left(store)).toEqual([]);
      }));
  });
}
