import { expect, test } from "vitest";
import { admitted, anEnd, aReservation, at, granted, type OpenStore, withStore } from "./rows.ts";

export function figuresSuite(open: OpenStore): void {
  const group = (name: string) => ({ name, properties: {}, subnets: [] });

  test("connections that have not ended are counted by profile, group and state", () =>
    withStore(open, async (store) => {
      await admitted(store, { group: group("eng") });
      await admitted(store, { group: group("eng") });
      await admitted(store, { group: null });
      granted(await store.ledger.reserve(aReservation({ group: null, profileId: "lab" })));
      granted(await store.ledger.reserve(aReservation({ nodeNumber: 1 })));
      const gone = await admitted(store, { group: group("eng") });
      await store.ledger.end(gone.id, anEnd());

      const shared = { protocol: "openvpn" };
      const counted = await store.figures.connections(0);
      expect(counted).toHaveLength(3);
      expect(counted).toContainEqual({ ...shared, profileId: "office", state: "admitted", group: "eng", count: 2 });
      expect(counted).toContainEqual({ ...shared, profileId: "office", state: "admitted", group: null, count: 1 });
      expect(counted).toContainEqual({ ...shared, profileId: "lab", state: "reserved", group: null, count: 1 });
    }));

  test("deliveries that are not done are counted by hook, with the time of the oldest", () =>
    withStore(open, async (store) => {
      await admitted(store, {}, { observers: ["siem", "inventory"] });
      await store.ledger.admit(granted(await store.ledger.reserve(aReservation())).id, {
        at: at(5),
        save: {},
        observers: ["siem"],
      });
      const take = { now: at(9), leaseUntil: at(60), limit: 1, busy: ["siem"] };
      const [taken] = await store.deliveries.takeDue(take);
      expect(await store.figures.deliveries()).toEqual([
        { hook: "siem", state: "waiting", count: 2, oldestCreatedAt: at(1) },
        { hook: "inventory", state: "running", count: 1, oldestCreatedAt: at(1) },
      ]);
      const result = { at: at(10), durationMs: 1, output: "", error: null };
      await store.deliveries.finish(taken?.id ?? "", { ...result, state: "done" });
      expect((await store.figures.deliveries()).map(({ hook }) => hook)).toEqual(["siem"]);
    }));
}
