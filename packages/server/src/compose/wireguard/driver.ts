import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { serverKey } from "../../client-configs/wireguard-keys.ts";
import type { Config, ProfileConfig } from "../../config/config.ts";
import { gatewayOf } from "../../core/address-range.ts";
import type { Log } from "../../core/log.ts";
import { Secret } from "../../core/secret.ts";
import {
  createWireGuardDriver,
  type ExpectedPeer,
  type WireGuardDriver,
  type WireGuardDriverOptions,
  type WireGuardInterface,
} from "../../drivers/wireguard/wireguard-driver.ts";
import type { Store } from "../../store/store.ts";

export type WireGuardProfile = ProfileConfig & { tunnel: Extract<ProfileConfig["tunnel"], { protocol: "wireguard" }> };

export function wireGuardProfile({ profiles }: Config, id: string): WireGuardProfile | undefined {
  return wireGuardProfiles(profiles).find((profile) => profile.id === id);
}

export function wireGuardProfiles(profiles: readonly ProfileConfig[]): WireGuardProfile[] {
  return profiles.flatMap((profile) => {
    const { tunnel } = profile;
    return tunnel.protocol === "wireguard" ? [{ ...profile, tunnel }] : [];
  });
}

/** The driver of all WireGuard profiles. What it hears of handshakes goes to `handshakes`, which is there before it starts. */
export async function composeWireGuardDriver(options: {
  config: Config;
  live: () => Config;
  store: Pick<Store, "ledger" | "devices">;
  handshakes: () => Pick<WireGuardDriverOptions, "shookHands" | "observed">;
  log: Log;
}): Promise<WireGuardDriver> {
  const { config, live, store, log } = options;
  return createWireGuardDriver({
    interfaces: await wireGuardInterfaces(config),
    expected: (profileId) => expectedPeers({ profile: wireGuardProfile(live(), profileId), config, store }),
    isOurs: async (profileId, publicKey) => (await store.devices.withKey(profileId, publicKey)).length > 0,
    shookHands: (seen) => options.handshakes().shookHands(seen),
    observed: (seen) => options.handshakes().observed(seen),
    log,
  });
}

/** Every interface of every WireGuard profile, with its key, which is made where there is none. */
export async function wireGuardInterfaces(config: Config): Promise<WireGuardInterface[]> {
  const profiles = wireGuardProfiles(config.profiles);
  return await Promise.all(profiles.map((profile) => interfaceOf(config, profile)));
}

async function interfaceOf({ dataDirectory }: Config, profile: WireGuardProfile): Promise<WireGuardInterface> {
  const { id, tunnel, ranges } = profile;
  const { interface: name, trigger, silenceMs } = tunnel;
  const directory = join(dataDirectory, "wireguard", id);
  const common = { profileId: id, interface: name, directory, trigger, silenceMs };
  if (tunnel.mode === "attach") return { ...common, mode: { kind: "attach" } };
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const own = [ranges.ipv4, ranges.ipv6].filter((range) => range !== null);
  const addresses = own.map((range) => `${gatewayOf(range)}/${range.prefixLength}`);
  const privateKey = await serverKey(join(directory, "private.key"));
  return { ...common, mode: { kind: "managed", listenPort: tunnel.listenPort, privateKey, addresses } };
}

/** Whoever is admitted, with their addresses; and where handshakes connect, whoever may come, without. */
async function expectedPeers(options: {
  profile: WireGuardProfile | undefined;
  config: Config;
  store: Pick<Store, "ledger" | "devices">;
}): Promise<ExpectedPeer[]> {
  const { profile, config, store } = options;
  if (profile === undefined) return [];
  const profileId = profile.id;
  const rows = await store.ledger.unfinished({ nodeNumber: config.node.number, profileId });
  const presharedKeys = await store.devices.presharedKeys(profileId);
  const presharedKeyOf = (clientConfigId: string | undefined) => {
    const text = presharedKeys.get(clientConfigId ?? "");
    return text === undefined ? null : new Secret(text);
  };
  const peers = new Map<string, ExpectedPeer>();
  for (const row of rows) {
    if (row.state !== "admitted" && row.state !== "open") continue;
    const { connectionId: publicKey, ipv4, ipv6, bytesIn, bytesOut } = row;
    const allowedIps = [...(ipv4 === null ? [] : [`${ipv4}/32`]), ...(ipv6 === null ? [] : [`${ipv6}/128`])];
    const presharedKey = presharedKeyOf(row.clientConfigId);
    peers.set(publicKey, { publicKey, presharedKey, allowedIps, counts: { bytesIn, bytesOut } });
  }
  if (profile.tunnel.trigger === "config") return [...peers.values()];
  const now = new Date().toISOString();
  for (const { id, connectionId, issuedAt, awayAt, expiresAt } of await store.devices.working({ profileId })) {
    if (peers.has(connectionId) || issuedAt === undefined || awayAt !== undefined || expiresAt <= now) continue;
    peers.set(connectionId, { publicKey: connectionId, presharedKey: presharedKeyOf(id), allowedIps: [] });
  }
  return [...peers.values()];
}
