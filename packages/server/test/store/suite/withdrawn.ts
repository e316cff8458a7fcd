import { expect, test } from "vitest";
import type { ClientConfig, Store } from "../../../src/store/store.ts";
import { admitted, anEnd, at, type OpenStore, withStore } from "./rows.ts";

export function withdrawnSuite(open: OpenStore): void {
  const config = (id: string, given: Partial<ClientConfig> = {}): ClientConfig => ({
    id,
    userId: "alice",
    profileId: "office",
    kind: "auto-login",
    protocol: "openvpn",
    connectionId: id,
    serial: null,
    createdAt: at(0),
    expiresAt: at(999),
    revokedAt: null,
    ...given,
  });
  const withdrawn = (store: Store) => store.ledger.withdrawn({ nodeNumber: 0 });

  test("connections of revoked client configs are found until they have ended, and nobody else's", () =>
    withStore(open, async (store) => {
      await store.clientConfigs.add(config("laptop"));
      await store.clientConfigs.add(config("phone"));
      const laptop = await admitted(store, { connectionId: "laptop" });
      await admitted(store, { connectionId: "phone" });
      await admitted(store, { connectionId: "laptop", profileId: "lab" });
      expect(await withdrawn(store)).toEqual([]);
      await store.clientConfigs.revoke("laptop", at(5));
      expect(await withdrawn(store)).toEqual([{ id: laptop.id, because: "config-revoked" }]);
      await store.ledger.end(laptop.id, anEnd({ release: false }));
      expect(await withdrawn(store)).toEqual([]);
    }));

  test("a WireGuard key that was given a new client config stays in by it", () =>
    withStore(open, async (store) => {
      const given = { protocol: "wireguard", connectionId: "key" } as const;
      await store.clientConfigs.add(config("old", given));
      await store.clientConfigs.revoke("old", at(1));
      await store.clientConfigs.add(config("new", given));
      const { id } = await admitted(store, { ...given, clientConfigId: "new" });
      expect(await withdrawn(store)).toEqual([]);
      await store.clientConfigs.revoke("new", at(5));
      expect(await withdrawn(store)).toEqual([{ id, because: "config-revoked" }]);
    }));

  test("connections of disabled accounts are found", () =>
    withStore(open, async (store) => {
      await store.accounts.addUser({ id: "bob", passwordDigest: null, at: at(0) });
      const { id } = await admitted(store, { userId: "bob" });
      await admitted(store, { userId: "alice" });
      await admitted(store, { userId: "bob", nodeNumber: 1 });
      expect(await withdrawn(store)).toEqual([]);
      await store.accounts.setDisabled("bob", true);
      expect(await withdrawn(store)).toEqual([{ id, because: "account-disabled" }]);
    }));
}
