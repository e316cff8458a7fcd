import { describe, expect, test } from "vitest";
import { SallyportError } from "../../../src/core/errors.ts";
import type { ClientConfig } from "../../../src/store/store.ts";
import { at, type OpenStore, withStore } from "./rows.ts";

export function settingsSuite(open: OpenStore): void {
  describe("settings", () => {
    test("a setting is set, changed, listed and deleted", () =>
      withStore(open, async ({ settings }) => {
        expect(await settings.get("auth.module.type")).toBeUndefined();
        await settings.set("auth.module.type", "pam");
        await settings.set("auth.module.type", "local");
        await settings.set("vpn.client.app_verify", "['win']\nA=1");
        expect(await settings.get("auth.module.type")).toBe("local");
        expect(await settings.list()).toEqual({ "auth.module.type": "local", "vpn.client.app_verify": "['win']\nA=1" });
        expect(await settings.delete("auth.module.type")).toBe(true);
        expect(await settings.delete("auth.module.type")).toBe(false);
        expect(await settings.list()).toEqual({ "vpn.client.app_verify": "['win']\nA=1" });
      }));
  });

  describe("client configs", () => {
    const config = (given: Partial<ClientConfig> = {}): ClientConfig => ({
      id: "config-1",
      userId: "alice",
      profileId: "office",
      kind: "user-locked",
      protocol: "openvpn",
      connectionId: "cn-1",
      serial: "1a2b3c",
      createdAt: at(0),
      expiresAt: at(1_000),
      revokedAt: null,
      ...given,
    });
    const wireguard = config({
      id: "config-2",
      userId: "bob",
      protocol: "wireguard",
      serial: null,
      connectionId: "key",
      createdAt: at(1),
    });

    test("one is found by its id and by its serial", () =>
      withStore(open, async ({ clientConfigs }) => {
        await clientConfigs.add(config());
        await clientConfigs.add(wireguard);
        expect(await clientConfigs.get("config-1")).toEqual(config());
        expect(await clientConfigs.get("config-2")).toEqual(wireguard);
        expect(await clientConfigs.bySerial("1a2b3c")).toEqual(config());
        expect(await clientConfigs.bySerial("1a2b")).toBeUndefined();
        expect(await clientConfigs.get("config-3")).toBeUndefined();
      }));

    test("an id or a serial is never taken twice, while WireGuard's have none", () =>
      withStore(open, async ({ clientConfigs }) => {
        await clientConfigs.add(config());
        await clientConfigs.add(wireguard);
        await clientConfigs.add({ ...wireguard, id: "config-4", connectionId: "key-4" });
        for (const twice of [config({ serial: "ff" }), config({ id: "config-3" })]) {
          const error = await clientConfigs.add(twice).catch((error) => error);
          expect(error).toBeInstanceOf(SallyportError);
          expect(error.code).toBe("already-exists");
        }
        expect(await clientConfigs.list()).toHaveLength(3);
      }));

    test("they are listed oldest first, by user and by profile", () =>
      withStore(open, async ({ clientConfigs }) => {
        const locked = config({ id: "config-3", userId: null, kind: "server-locked", serial: "3", createdAt: at(2) });
        const elsewhere = config({ id: "config-4", profileId: "mobile", serial: "4", createdAt: at(3) });
        for (const each of [wireguard, elsewhere, locked, config()]) await clientConfigs.add(each);
        const ids = async (filter?: Parameters<typeof clientConfigs.list>[0]) =>
          (await clientConfigs.list(filter)).map(({ id }) => id);
        expect(await ids()).toEqual(["config-1", "config-2", "config-3", "config-4"]);
        expect(await ids({ userId: "alice" })).toEqual(["config-1", "config-4"]);
        expect(await ids({ profileId: "office" })).toEqual(["config-1", "config-2", "config-3"]);
        expect(await ids({ userId: "alice", profileId: "mobile" })).toEqual(["config-4"]);
      }));

    test("one is revoked once, and stays to be read", () =>
      withStore(open, async ({ clientConfigs }) => {
        await clientConfigs.add(config());
        expect(await clientConfigs.revoke("config-1", at(5))).toBe(true);
        expect(await clientConfigs.revoke("config-1", at(6))).toBe(false);
        expect(await clientConfigs.revoke("config-2", at(6))).toBe(false);
        expect(await clientConfigs.bySerial("1a2b3c")).toEqual(config({ revokedAt: at(5), endReason: "revoked" }));
      }));
  });
}
