import { describe, expect, test } from "vitest";
import { newId } from "../../../src/core/id.ts";
import { aConnection, admitted, anEnd, aReservation, at, granted, type OpenStore, withStore } from "./rows.ts";

export function ledgerSuite(open: OpenStore): void {
  describe("the ledger", () => {
    test("a connection goes from reserved over admitted and open to ended, and is kept", () =>
      withStore(open, async ({ ledger }) => {
        const reservation = aReservation();
        const reserved = granted(await ledger.reserve(reservation));
        expect(reserved).toEqual({ ...reservation.connection, ipv4: "10.42.0.2", ipv6: null });
        expect(await ledger.get(reserved.id)).toEqual(reserved);
        expect(await ledger.admit(reserved.id, { at: at(1), save: {}, observers: [] })).toBe(true);
        expect(await ledger.get(reserved.id)).toEqual({ ...reserved, state: "admitted", admittedAt: at(1) });
        await ledger.established(reserved.id, at(2));
        expect(await ledger.get(reserved.id)).toMatchObject({ state: "open", establishedAt: at(2) });
        await ledger.traffic([{ id: reserved.id, bytesIn: 5_000_000_000, bytesOut: 7 }]);
        expect(await ledger.end(reserved.id, anEnd({ at: at(9), reason: "admin", detail: "by root" }))).toBe(true);
        expect(await ledger.get(reserved.id)).toEqual({
          ...reserved,
          state: "ended",
          admittedAt: at(1),
          establishedAt: at(2),
          endedAt: at(9),
          endReason: "admin",
          endDetail: "by root",
          bytesIn: 5_000_000_000,
          bytesOut: 7,
        });
        expect(await ledger.get("none")).toBeUndefined();
      }));

    test("an end is the first one's to ask for, and counts given with it replace the stored ones", () =>
      withStore(open, async (store) => {
        const { id } = await admitted(store);
        await store.ledger.traffic([{ id, bytesIn: 1, bytesOut: 2 }]);
        expect(await store.ledger.end(id, anEnd({ at: at(9), counts: { bytesIn: 3, bytesOut: 4 } }))).toBe(true);
        expect(
          await store.ledger.end(id, anEnd({ at: at(8), reason: "admin", counts: { bytesIn: 9, bytesOut: 9 } })),
        ).toBe(false);
        expect(await store.ledger.get(id)).toMatchObject({
          endedAt: at(9),
          endReason: "client",
          bytesIn: 3,
          bytesOut: 4,
        });
        expect(await store.ledger.end("none", anEnd())).toBe(false);
      }));

    test("an ended connection is not admitted, established, counted or ended again", () =>
      withStore(open, async ({ ledger, accounts, deliveries }) => {
        const { id } = granted(await ledger.reserve(aReservation()));
        await ledger.end(id, anEnd({ reason: "rejected" }));
        expect(await ledger.admit(id, { at: at(11), save: { pvt_x: "1" }, observers: ["siem"] })).toBe(false);
        await ledger.established(id, at(12));
        await ledger.traffic([{ id, bytesIn: 1, bytesOut: 1 }]);
        expect(await ledger.get(id)).toMatchObject({
          state: "ended",
          endReason: "rejected",
          admittedAt: null,
          establishedAt: null,
          expiresAt: null,
          bytesIn: 0,
        });
        expect(await accounts.properties({ kind: "user", name: "alice" })).toEqual({});
        expect(await deliveries.list({ limit: 10 })).toEqual([]);
      }));

    test("traffic for a reservation that is not admitted does not make it open", () =>
      withStore(open, async ({ ledger }) => {
        const { id } = granted(await ledger.reserve(aReservation()));
        await ledger.established(id, at(1));
        expect((await ledger.get(id))?.state).toBe("reserved");
      }));

    test("what a script asked to save is written with the admission, over what the user had", () =>
      withStore(open, async ({ ledger, accounts }) => {
        await accounts.setProperties({ kind: "user", name: "alice" }, { conn_group: "eng", pvt_hw_addr: "old" });
        const { id } = granted(await ledger.reserve(aReservation()));
        expect(await accounts.properties({ kind: "user", name: "alice" })).toMatchObject({ pvt_hw_addr: "old" });
        expect(await ledger.admit(id, { at: at(1), save: { pvt_hw_addr: "new" }, observers: [] })).toBe(true);
        expect(await ledger.admit(id, { at: at(1), save: { pvt_hw_addr: "again" }, observers: [] })).toBe(false);
        expect(await accounts.properties({ kind: "user", name: "alice" })).toEqual({
          conn_group: "eng",
          pvt_hw_addr: "new",
        });
      }));

    test("byte counts of many connections are written together", () =>
      withStore(open, async (store) => {
        const all = await Promise.all(
          Array.from({ length: 600 }, () => admitted(store, {}, { wishes: { ipv4: null } })),
        );
        await store.ledger.traffic(all.map(({ id }, i) => ({ id, bytesIn: i, bytesOut: 2 ** 40 + i })));
        await store.ledger.traffic([]);
        const rows = await store.ledger.list({ limit: 1_000 });
        expect(new Map(rows.map(({ id, bytesIn, bytesOut }) => [id, [bytesIn, bytesOut]]))).toEqual(
          new Map(all.map(({ id }, i) => [id, [i, 2 ** 40 + i]])),
        );
      }));

    test("a connection is found by its tunnel until it has ended and its addresses are free", () =>
      withStore(open, async (store) => {
        const { ledger } = store;
        const { id } = await admitted(store, { tunnelKey: "7" });
        const tunnel = { profileId: "office", listener: "udp/1194", key: "7" };
        expect((await ledger.byTunnel(tunnel))?.id).toBe(id);
        for (const other of [{ key: "8" }, { listener: "tcp/1194" }, { profileId: "mobile" }]) {
          expect(await ledger.byTunnel({ ...tunnel, ...other })).toBeUndefined();
        }
        await ledger.rename(id, "generation 2, 7");
        expect(await ledger.byTunnel(tunnel)).toBeUndefined();
        await ledger.rename(id, "7");
        await ledger.end(id, anEnd({ release: false }));
        expect(await ledger.byTunnel(tunnel)).toMatchObject({ id, state: "ended" });
        await ledger.release(id);
        expect(await ledger.byTunnel(tunnel)).toBeUndefined();
      }));

    test("where a key came back before the old tunnel's addresses were free, the connection that has not ended is meant", () =>
      withStore(open, async (store) => {
        const old = await admitted(store, { tunnelKey: "7", reservedAt: at(5) });
        await store.ledger.end(old.id, anEnd({ release: false }));
        const present = await admitted(store, { tunnelKey: "7", reservedAt: at(0) });
        const tunnel = { profileId: "office", listener: "udp/1194", key: "7" };
        expect((await store.ledger.byTunnel(tunnel))?.id).toBe(present.id);
      }));

    test("unfinished are those of the node that have not ended or still hold an address", () =>
      withStore(open, async (store) => {
        const { ledger } = store;
        const reserved = granted(await ledger.reserve(aReservation()));
        const live = await admitted(store, { listener: "tcp/1194" });
        const holding = await admitted(store);
        const released = await admitted(store);
        const without = await admitted(store, {}, { wishes: { ipv4: null } });
        const elsewhere = await admitted(store, { nodeNumber: 1 });
        const otherProfile = await admitted(store, { profileId: "mobile" });
        for (const { id } of [holding, released, without]) await ledger.end(id, anEnd({ release: false }));
        await ledger.release(released.id);
        const ids = async (filter: Parameters<typeof ledger.unfinished>[0]) =>
          (await ledger.unfinished(filter)).map(({ id }) => id).sort();
        expect(await ids({ nodeNumber: 0 })).toEqual(
          [reserved, live, holding, otherProfile].map(({ id }) => id).sort(),
        );
        expect(await ids({ nodeNumber: 0, profileId: "office", listener: "tcp/1194" })).toEqual([live.id]);
        expect(await ids({ nodeNumber: 0, profileId: "mobile" })).toEqual([otherProfile.id]);
        expect(await ids({ nodeNumber: 1 })).toEqual([elsewhere.id]);
      }));

    test("addresses freed before the end do not make it finished", () =>
      withStore(open, async (store) => {
        const { id } = await admitted(store);
        await store.ledger.release(id);
        expect((await store.ledger.unfinished({ nodeNumber: 0 })).map((row) => row.id)).toEqual([id]);
        await store.ledger.end(id, anEnd({ release: false }));
        expect(await store.ledger.unfinished({ nodeNumber: 0 })).toEqual([]);
      }));

    test("an end that comes second still frees the addresses when it knows the tunnel is gone", () =>
      withStore(open, async (store) => {
        const { id } = await admitted(store);
        await store.ledger.end(id, anEnd({ reason: "admin", release: false }));
        expect(await store.ledger.end(id, anEnd({ release: true }))).toBe(false);
        expect(await store.ledger.unfinished({ nodeNumber: 0 })).toEqual([]);
        expect((await store.ledger.get(id))?.endReason).toBe("admin");
      }));

    test("they are listed newest first by user, profile, time and whether they are open, up to a limit", () =>
      withStore(open, async (store) => {
        const { ledger } = store;
        const made: string[] = [];
        for (const [i, given] of [
          { userId: "alice" },
          { userId: "bob" },
          { userId: "alice", profileId: "mobile" },
          { userId: "alice" },
        ].entries()) {
          made.push((await admitted(store, { ...given, reservedAt: at(i) })).id);
        }
        await ledger.end(made[3] as string, anEnd());
        const order = async (filter: Partial<Parameters<typeof ledger.list>[0]>) =>
          (await ledger.list({ limit: 10, ...filter })).map(({ id }) => made.indexOf(id));
        expect(await order({})).toEqual([3, 2, 1, 0]);
        expect(await order({ limit: 2 })).toEqual([3, 2]);
        expect(await order({ userId: "alice" })).toEqual([3, 2, 0]);
        expect(await order({ profileId: "office" })).toEqual([3, 1, 0]);
        expect(await order({ open: true })).toEqual([2, 1, 0]);
        expect(await order({ open: true, userId: "alice" })).toEqual([2, 0]);
        expect(await order({ open: false })).toEqual([3]);
        expect(await order({ since: at(2) })).toEqual([3, 2]);
        expect(await order({ userId: "alice", profileId: "office", since: at(1) })).toEqual([3]);
      }));
  });

  describe("the same user and device coming back", () => {
    const device = { userId: "alice", connectionId: "laptop" };
    const now = () => new Date().toISOString();

    test("ends what it had in this profile as replaced, and keeps the old addresses held until they are released", () =>
      withStore(open, async (store) => {
        const old = await admitted(store, device);
        const others = [
          await admitted(store, { ...device, profileId: "mobile" }),
          await admitted(store, { ...device, userId: "bob" }),
          await admitted(store, { ...device, connectionId: "phone" }),
        ];
        const again = await store.ledger.reserve(aReservation({ ...device, reservedAt: at(20) }));
        expect(granted(again).ipv4).not.toBe(old.ipv4);
        expect(again.replaced).toEqual([await store.ledger.get(old.id)]);
        expect(again.replaced[0]).toMatchObject({ state: "ended", endReason: "replaced", endedAt: at(20) });
        for (const other of others) expect((await store.ledger.get(other.id))?.state).toBe("admitted");
        expect((await store.ledger.unfinished({ nodeNumber: 0 })).map(({ id }) => id)).toContain(old.id);
      }));

    test("ends nothing by an attempt that was kept waiting while the device came back by a newer one", () =>
      withStore(open, async (store) => {
        const [early, late] = [newId(Date.now() - 5_000), newId()];
        const present = await admitted(store, { ...device, attemptId: late, reservedAt: now() });
        const again = await store.ledger.reserve(aReservation({ ...device, attemptId: early }));
        expect(again).toEqual({ refused: "connection-ended", heldBy: present.id, replaced: [] });
        expect((await store.ledger.get(present.id))?.state).toBe("admitted");
      }));

    test("lets in no attempt that was kept waiting while the device came by a newer one and left again", () =>
      withStore(open, async (store) => {
        const [early, late] = [newId(Date.now() - 5_000), newId(Date.now() - 2_000)];
        const gone = await admitted(store, { ...device, attemptId: late, reservedAt: now() });
        await store.ledger.end(gone.id, anEnd({ release: true }));
        const again = await store.ledger.reserve(aReservation({ ...device, attemptId: early }));
        expect(again).toEqual({ refused: "connection-ended", heldBy: gone.id, replaced: [] });
        // Whoever begins now comes in, and so does another device of the same user.
        expect(await store.ledger.reserve(aReservation({ ...device, attemptId: newId() }))).toHaveProperty(
          "connection",
        );
        const other = { ...device, connectionId: "another device", attemptId: early };
        expect(await store.ledger.reserve(aReservation(other))).toHaveProperty("connection");
      }));

    test("does not take for newer what never came in, or what a clock that was put back since says", () =>
      withStore(open, async (store) => {
        const early = newId(Date.now() - 5_000);
        const refused = granted(
          await store.ledger.reserve(aReservation({ ...device, attemptId: newId(), reservedAt: now() })),
        );
        await store.ledger.end(refused.id, anEnd({ release: true, reason: "rejected" }));
        const hence = Date.now() + 3_600_000;
        const reservedAt = new Date(hence).toISOString();
        const future = await admitted(store, { ...device, attemptId: newId(hence), reservedAt });
        const again = await store.ledger.reserve(aReservation({ ...device, attemptId: early }));
        expect(again).toMatchObject({ connection: { attemptId: early }, replaced: [{ id: future.id }] });
      }));

    test("is refused its fixed address while the old tunnel holds it, and gets it after the release", () =>
      withStore(open, async (store) => {
        const fixed = { ipv4: { fixed: "10.42.0.9" } };
        const old = await admitted(store, device, { wishes: fixed });
        expect(old.ipv4).toBe("10.42.0.9");
        const refused = await store.ledger.reserve(aReservation(device, fixed));
        expect(refused).toEqual({
          refused: "address-in-use",
          heldBy: old.id,
          replaced: [await store.ledger.get(old.id)],
        });
        expect(refused.replaced[0]?.endReason).toBe("replaced");
        expect(await store.ledger.reserve(aReservation(device, fixed))).toEqual({
          refused: "address-in-use",
          heldBy: old.id,
          replaced: [],
        });
        await store.ledger.release(old.id);
        expect(granted(await store.ledger.reserve(aReservation(device, fixed))).ipv4).toBe("10.42.0.9");
      }));

    test("a refused reservation leaves no row", () =>
      withStore(open, async ({ ledger }) => {
        await ledger.reserve(aReservation({}, { ipv4: { fixed: "10.42.0.9" } }));
        const connection = aConnection({ id: newId() });
        const refused = await ledger.reserve({
          connection,
          ipv4: { fixed: "10.42.0.9" },
          ipv6: null,
          mostConnections: null,
          subscribers: [],
        });
        expect(refused).toMatchObject({ refused: "address-in-use" });
        expect(await ledger.get(connection.id)).toBeUndefined();
        expect(await ledger.list({ limit: 10 })).toHaveLength(1);
      }));

    test("counts once towards the most connections its user may have", () =>
      withStore(open, async ({ ledger }) => {
        const most = { mostConnections: 2 };
        const phone = granted(await ledger.reserve(aReservation({ connectionId: "phone" }, most)));
        for (let i = 0; i < 3; i++) granted(await ledger.reserve(aReservation(device, most)));
        expect(await ledger.reserve(aReservation({}, most))).toEqual({
          refused: "too-many-connections",
          heldBy: null,
          replaced: [],
        });
        granted(await ledger.reserve(aReservation({ userId: "bob" }, most)));
        await ledger.end(phone.id, anEnd());
        granted(await ledger.reserve(aReservation({}, most)));
      }));

    test("the hooks told of the replaced connection are told of its end", () =>
      withStore(open, async (store) => {
        const old = await admitted(store, device, { observers: ["siem", "inventory"] });
        await store.ledger.reserve(aReservation({ ...device, reservedAt: at(20) }, { subscribers: ["siem", "other"] }));
        const queued = await store.deliveries.list({ event: "disconnect", limit: 10 });
        expect(queued).toMatchObject([
          { sessionId: old.id, hook: "siem", eventId: old.disconnectEventId, state: "waiting", createdAt: at(20) },
        ]);
      }));
  });
}
