import { describe, expect, test } from "vitest";
import type { ClientConfig, Store } from "../../../src/store/store.ts";
import { anEnd, aReservation, at, granted, type OpenStore, ranges, withStore } from "./rows.ts";

export function devicesSuite(open: OpenStore): void {
  const device = (given: Partial<ClientConfig> = {}): ClientConfig => ({
    id: "device-1",
    userId: "alice",
    profileId: "mobile",
    kind: "auto-login",
    protocol: "wireguard",
    connectionId: "key-1",
    serial: null,
    createdAt: at(0),
    expiresAt: at(1_000),
    revokedAt: null,
    ...given,
  });
  const facts = { at: at(1), expiresAt: at(900), ipv4: "10.42.0.2", ipv6: null };
  /** A device with its address, and a connection of it. */
  const connected = async ({ devices, ledger }: Store, id = "device-1") => {
    await devices.begin(device({ id, connectionId: `key of ${id}` }), null);
    const reservation = aReservation({ protocol: "wireguard", connectionId: `key of ${id}`, clientConfigId: id });
    const row = granted(await ledger.reserve(reservation));
    await devices.issued(id, facts);
    return row;
  };

  describe("WireGuard devices", () => {
    test("a profile has one working device of a key; the next may come when it was revoked", () =>
      withStore(open, async ({ devices, clientConfigs }) => {
        expect(await devices.begin(device(), "psk")).toBe(true);
        expect(await devices.begin(device({ id: "device-2" }), null)).toBe(false);
        expect(await devices.begin(device({ id: "device-3", profileId: "other" }), null)).toBe(true);
        await clientConfigs.revoke("device-1", at(2), "replaced");
        expect(await devices.begin(device({ id: "device-2", createdAt: at(3) }), null)).toBe(true);
        expect((await devices.withKey("mobile", "key-1")).map(({ id }) => id)).toEqual(["device-2", "device-1"]);
        expect((await clientConfigs.get("device-1"))?.endReason).toBe("replaced");
      }));

    test("what is known of one is read back; its preshared key is not among it", () =>
      withStore(open, async ({ devices, clientConfigs }) => {
        await devices.begin(device(), "psk");
        expect(await clientConfigs.get("device-1")).toEqual(device());
        expect(await devices.issued("device-1", facts)).toBe(true);
        await devices.seen([
          { profileId: "mobile", publicKey: "key-1", at: at(5), endpoint: "192.0.2.7:5000" },
          { profileId: "mobile", publicKey: "unknown", at: at(5), endpoint: null },
        ]);
        await devices.seen([{ profileId: "mobile", publicKey: "key-1", at: at(6), endpoint: null }]);
        await devices.setAway("device-1", at(7));
        const known = { issuedAt: at(1), expiresAt: at(900), ipv4: "10.42.0.2", lastSeenAt: at(6), awayAt: at(7) };
        expect(await clientConfigs.get("device-1")).toEqual(device({ ...known, endpoint: "192.0.2.7:5000" }));
        expect(await devices.presharedKey("device-1")).toBe("psk");
        expect([...(await devices.presharedKeys("mobile"))]).toEqual([["device-1", "psk"]]);
        await devices.setAway("device-1", null);
        expect((await devices.working({ userId: "alice" }))[0]).not.toHaveProperty("awayAt");
        await clientConfigs.revoke("device-1", at(8));
        expect(await devices.issued("device-1", facts)).toBe(false);
        expect(await devices.working()).toEqual([]);
      }));

    test("one holds its addresses over its connections, and keeps the same", () =>
      withStore(open, async (store) => {
        const { ledger } = store;
        const row = await connected(store);
        expect(row.ipv4).toBe("10.42.0.2");
        expect((await ledger.ofClientConfig("device-1"))?.id).toBe(row.id);
        await ledger.end(row.id, anEnd({ release: true }));
        expect(await ledger.ofClientConfig("device-1")).toBeUndefined();
        const other = granted(await ledger.reserve(aReservation()));
        expect(other.ipv4).toBe("10.42.0.3");
        const again = aReservation({ connectionId: "key of device-1", clientConfigId: "device-1" });
        expect(granted(await ledger.reserve(again)).ipv4).toBe("10.42.0.2");
      }));

    test("a connection whose peer is not known to be gone is unfinished until it is", () =>
      withStore(open, async (store) => {
        const { ledger, devices, clientConfigs } = store;
        const row = await connected(store);
        await ledger.end(row.id, anEnd({ release: false }));
        await clientConfigs.revoke("device-1", at(2));
        expect((await ledger.ofClientConfig("device-1"))?.id).toBe(row.id);
        expect(await devices.stillHolding(at(3))).toEqual([]);
        await ledger.end(row.id, anEnd({ release: true }));
        expect(await devices.stillHolding(at(3))).toEqual([{ id: "device-1", profileId: "mobile" }]);
        await ledger.release("device-1");
        expect(await devices.stillHolding(at(3))).toEqual([]);
        const freed = await ledger.reserve(aReservation({}, { ipv4: { fixed: "10.42.0.2" } }));
        expect(granted(freed).ipv4).toBe("10.42.0.2");
      }));

    test("those past their time hold nothing for long; those that work do", () =>
      withStore(open, async ({ ledger, devices }) => {
        await devices.begin(device(), null);
        const held = await ledger.hold("device-1", { ipv4: ranges("10.42.0.0/24"), ipv6: ranges("fd42::/64") });
        expect(held).toEqual({ ipv4: "10.42.0.2", ipv6: "fd42::2" });
        expect(await ledger.hold("device-1", { ipv4: ranges("10.42.0.0/24"), ipv6: null })).toEqual(held);
        expect(await devices.stillHolding(at(999))).toEqual([]);
        expect(await devices.stillHolding(at(1_000))).toHaveLength(1);
      }));

    test("one that was refused leaves nothing, and where one family is refused the other is not held", () =>
      withStore(open, async ({ ledger, devices, clientConfigs }) => {
        granted(await ledger.reserve(aReservation({}, { ipv4: { fixed: "10.42.0.9" } })));
        await devices.begin(device(), null);
        const refused = await ledger.hold("device-1", {
          ipv4: ranges("10.42.0.0/24"),
          ipv6: { ranges: [], excluded: [] },
        });
        expect(refused).toMatchObject({ refused: "no-free-address" });
        await ledger.hold("device-1", { ipv4: { fixed: "10.42.0.2" }, ipv6: null });
        await devices.drop("device-1");
        expect(await clientConfigs.get("device-1")).toBeUndefined();
        expect(granted(await ledger.reserve(aReservation({}, { ipv4: { fixed: "10.42.0.2" } }))).ipv4).toBe(
          "10.42.0.2",
        );
      }));
  });
}
