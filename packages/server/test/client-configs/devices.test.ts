import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { DeviceAnswer, DeviceAsks, DeviceProfile } from "../../src/client-configs/device-options.ts";
import { Devices } from "../../src/client-configs/devices.ts";
import { newKeyPair } from "../../src/client-configs/wireguard-keys.ts";
import { parseRange } from "../../src/core/address-range.ts";
import { SallyportError } from "../../src/core/errors.ts";
import type { Store } from "../../src/store/store.ts";
import { openStoreHere } from "../store/open-here.ts";
import { aReservation, granted } from "../store/suite/rows.ts";

const range = parseRange("10.43.0.0/24");
const wishes = { ipv4: { ranges: range ? [range] : [], excluded: [] }, ipv6: null };

let directory: string;
let store: Store;
let profile: DeviceProfile;
let now: Date;
/** Who was asked about, what was done to the interface, and what the arrow says. */
let asked: DeviceAsks[];
let done: string[];
let arrow: (asks: DeviceAsks) => Promise<DeviceAnswer>;
let interfaceIsUp: boolean;
let devices: Devices;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "devices-"));
  store = await openStoreHere(join(directory, "sallyport.db"));
  profile = { id: "mobile", displayName: "Mobile", trigger: "config", presharedKeys: false, sessionExpiryMs: null };
  [asked, done, now, interfaceIsUp] = [[], [], new Date(), true];
  arrow = admitted;
  devices = started();
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

function started(): Devices {
  return new Devices({
    devices: store.devices,
    clientConfigs: store.clientConfigs,
    ledger: store.ledger,
    profile: (id) => (id === profile.id ? profile : undefined),
    server: () => ({ publicKey: "PUBLIC", host: "vpn.example.org", port: 51820 }),
    connect: async (asks) => {
      asked.push(asks);
      return await arrow(asks);
    },
    prepare: async ({ device }) => {
      const held = await store.ledger.hold(device.clientConfigId, wishes);
      if ("refused" in held) return { allowed: false, code: held.refused, reason: "" };
      return { allowed: true, told: toldOf(held.ipv4), expiresAt: null };
    },
    kill: async (connection, { reason, detail }) => {
      done.push(`kill ${reason}`);
      const end = { at: now.toISOString(), reason, detail, counts: null, release: true, subscribers: [] };
      await store.ledger.end(connection.id, end);
    },
    synchronise: async () => {
      if (!interfaceIsUp) throw new SallyportError("driver-failed", "the interface is not up");
      done.push("synchronise");
    },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    now: () => now,
  });
}

const toldOf = (address: string | null) => ({
  ipv4: address === null ? null : { address, prefixLength: 24, gateway: "10.43.0.1" },
  ipv6: null,
  routes: [],
  dns: [],
});

async function admitted({ device }: DeviceAsks): Promise<DeviceAnswer> {
  const { clientConfigId, publicKey, trigger } = device;
  const config = await store.clientConfigs.get(clientConfigId);
  const row = { userId: config?.userId ?? "", profileId: "mobile", connectionId: publicKey, clientConfigId, trigger };
  const reservation = aReservation({ ...row, protocol: "wireguard" }, wishes);
  const { id, ipv4 } = granted(await store.ledger.reserve(reservation));
  await store.ledger.admit(id, { at: now.toISOString(), save: {}, observers: [] });
  return { allowed: true, told: toldOf(ipv4), expiresAt: null };
}

const refused = async (): Promise<DeviceAnswer> => ({
  allowed: false,
  code: "hook-refused",
  reason: "the gate said no",
  attemptId: "attempt-1",
});

const issue = (userId = "alice", publicKey?: string) =>
  devices.issue({ userId, profileId: "mobile", clientAddress: "127.0.0.1", ...(publicKey && { publicKey }) });

const open = async () => await store.ledger.list({ open: true, limit: 99 });

describe("issuing a device", () => {
  it("makes a file with the addresses that its client config holds", async () => {
    const { config, text } = await issue();
    expect(text).toContain("Address = 10.43.0.2/24\n");
    expect(config).toMatchObject({ userId: "alice", ipv4: "10.43.0.2", protocol: "wireguard", kind: "auto-login" });
    expect(text).toMatch(/^PrivateKey = /m);
    expect(JSON.stringify(await store.clientConfigs.list())).not.toContain(text.match(/PrivateKey = (.*)/)?.[1]);
  });

  it("leaves nothing of one that is refused, and says why and where to read on", async () => {
    arrow = refused;
    await expect(issue()).rejects.toMatchObject({ code: "hook-refused" });
    await expect(issue()).rejects.toThrow("the gate said no; `sallyport explain attempt-1`");
    expect(await store.clientConfigs.list()).toEqual([]);
    expect(await store.ledger.hold("another", wishes)).toEqual({ ipv4: "10.43.0.2", ipv6: null });
  });

  it("undoes one that was let in and could not be handed out: it ends as rejected, and its address is free", async () => {
    arrow = async (asks) => {
      await admitted(asks);
      throw new Error("the disk is full");
    };
    await expect(issue()).rejects.toThrow("the disk is full");
    expect(await open()).toEqual([]);
    expect(done).toEqual(["kill rejected", "synchronise"]);
    expect(await store.clientConfigs.list()).toMatchObject([{ endReason: "rejected" }]);
    expect(await store.devices.stillHolding(now.toISOString())).toEqual([]);
  });

  it("is refused when it was revoked while it was asked about", async () => {
    arrow = async (asks) => {
      const answer = await admitted(asks);
      await store.clientConfigs.revoke(asks.device.clientConfigId, now.toISOString(), "deleted");
      return answer;
    };
    await expect(issue()).rejects.toMatchObject({ code: "certificate-revoked" });
    expect(await open()).toEqual([]);
  });

  it("with a key that a device of the user has replaces it, also where the new one is refused", async () => {
    const { publicKey } = newKeyPair();
    const { config: former } = await issue("alice", publicKey);
    await issue("alice", publicKey);
    expect(done).toEqual(["kill replaced", "synchronise"]);
    expect(await store.clientConfigs.get(former.id)).toMatchObject({ endReason: "replaced" });
    arrow = refused;
    await expect(issue("alice", publicKey)).rejects.toMatchObject({ code: "hook-refused" });
    expect(await open()).toEqual([]);
    expect(await store.devices.working()).toEqual([]);
  });

  it("with the same key many times at once leaves one that works", async () => {
    const { publicKey } = newKeyPair();
    await Promise.all(Array.from({ length: 5 }, () => issue("alice", publicKey)));
    expect(await store.devices.working()).toHaveLength(1);
    expect(await open()).toHaveLength(1);
  });

  it.each([
    ["another user's key", "bob", undefined, "conflict"],
    ["no key", "alice", "garbage", "invalid-input"],
    ["a name that nobody can have", "al\nice", undefined, "invalid-input"],
  ])("is refused for %s", async (_what, user, key, code) => {
    const { publicKey } = newKeyPair();
    await issue("alice", publicKey);
    await expect(issue(user, key ?? publicKey)).rejects.toMatchObject({ code });
    expect(await open()).toHaveLength(1);
  });

  it("gives a preshared key where the profile says so, to the device and to the interface", async () => {
    profile = { ...profile, presharedKeys: true };
    const { text } = await issue();
    expect(text).toContain(`PresharedKey = ${asked[0]?.presharedKey?.reveal()}\n`);
  });

  it("with the handshake trigger takes addresses, and nobody is connected", async () => {
    profile = { ...profile, trigger: "handshake" };
    const { text } = await issue();
    expect(text).toContain("Address = 10.43.0.2/24\n");
    expect(text).toContain("PersistentKeepalive = 25\n");
    expect([asked, await open()]).toEqual([[], []]);
    expect(done).toEqual(["synchronise"]);
  });
});

describe("a device that is issued", () => {
  const endAll = async () => {
    for (const { id } of await open()) {
      const end = { at: now.toISOString(), detail: null, counts: null, subscribers: [] };
      await store.ledger.end(id, { ...end, reason: "shutdown", release: true });
    }
  };

  it("is asked about again after a restart, with the address of its file", async () => {
    await Promise.all(Array.from({ length: 40 }, (_, i) => issue(`user${i}`)));
    const before = new Map((await open()).map(({ connectionId, ipv4 }) => [connectionId, ipv4]));
    await endAll();
    asked = [];
    await started().readmitAll({ profileId: "mobile" });
    expect(asked).toHaveLength(40);
    expect(new Map((await open()).map(({ connectionId, ipv4 }) => [connectionId, ipv4]))).toEqual(before);
    await devices.readmitAll({ profileId: "mobile" });
    expect(asked).toHaveLength(40);
  });

  it("that is refused then, is revoked, past its time or kept out is not let in", async () => {
    const [kept, revoked, old, no] = await Promise.all(["kept", "revoked", "old", "no"].map((user) => issue(user)));
    await endAll();
    await store.devices.setAway(kept?.config.id ?? "", now.toISOString());
    await store.clientConfigs.revoke(revoked?.config.id ?? "", now.toISOString());
    const facts = { at: now.toISOString(), expiresAt: now.toISOString(), ipv4: null, ipv6: null };
    await store.devices.issued(old?.config.id ?? "", facts);
    arrow = refused;
    asked = [];
    await devices.readmitAll({ profileId: "mobile" });
    expect(asked.map(({ device }) => device.clientConfigId)).toEqual([no?.config.id]);
    arrow = admitted;
    await devices.readmit(kept?.config.id ?? "");
    expect((await open()).map(({ userId }) => userId)).toEqual(["kept"]);
    await expect(devices.readmit(revoked?.config.id ?? "")).rejects.toMatchObject({ code: "conflict" });
    await expect(devices.readmit("nobody")).rejects.toMatchObject({ code: "not-found" });
  });

  it("connects by a handshake where its profile says so, once, and not where it says otherwise", async () => {
    profile = { ...profile, trigger: "handshake" };
    const { config } = await issue();
    const seen = { profileId: "mobile", publicKey: config.connectionId, clientAddress: "192.0.2.7" };
    await Promise.all([devices.shookHands(seen), devices.shookHands(seen), devices.shookHands(seen)]);
    expect(asked).toMatchObject([{ clientAddress: "192.0.2.7", device: { trigger: "handshake" } }]);
    await devices.shookHands({ ...seen, publicKey: newKeyPair().publicKey });
    profile = { ...profile, trigger: "config" };
    await endAll();
    await devices.shookHands(seen);
    expect(asked).toHaveLength(1);
  });

  it("frees its address only when the interface was brought in line", async () => {
    const { config } = await issue();
    interfaceIsUp = false;
    await devices.end(config, "revoked", { reason: "disabled", detail: "" });
    expect(await store.devices.stillHolding(now.toISOString())).toHaveLength(1);
    interfaceIsUp = true;
    await Promise.all([devices.release(), devices.release()]);
    expect(await store.devices.stillHolding(now.toISOString())).toEqual([]);
  });

  it("is taken back when nobody used it for long; one that was used is not", async () => {
    const [unused, used] = [await issue("unused"), await issue("used")];
    const { connectionId } = used.config;
    await store.devices.seen([{ profileId: "mobile", publicKey: connectionId, at: now.toISOString(), endpoint: null }]);
    await devices.endUnused("mobile", 60_000);
    expect(await store.devices.working()).toHaveLength(2);
    now = new Date(now.getTime() + 61_000);
    await devices.endUnused("mobile", 60_000);
    expect((await store.devices.working()).map(({ userId }) => userId)).toEqual(["used"]);
    expect(await store.clientConfigs.get(unused.config.id)).toMatchObject({ endReason: "unused" });
    expect(done).toEqual(["kill expired", "synchronise"]);
  });

  it("is forgotten when the process died before its file was handed out", async () => {
    arrow = async (asks) => {
      await admitted(asks);
      return await new Promise(() => {});
    };
    void issue();
    while ((await open()).length === 0) await new Promise((soon) => setTimeout(soon, 5));
    await started().forgetUnfinished();
    expect(await store.clientConfigs.list()).toMatchObject([{ endReason: "rejected" }]);
  });
});
