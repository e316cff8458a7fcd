import { isDeepStrictEqual } from "node:util";
import type { Authority } from "../client-configs/authority.ts";
import type { Config, OpenVpnManaged, ProfileConfig } from "../config/config.ts";
import { SallyportError } from "../core/errors.ts";
import type { OpenVpnDriver } from "../drivers/openvpn/openvpn-driver.ts";
import type { WireGuardDriver } from "../drivers/wireguard/wireguard-driver.ts";
import { requireFreePorts } from "./free-ports.ts";
import { openVpnListeners } from "./openvpn.ts";
import { wireGuardInterfaces } from "./wireguard/driver.ts";

/**
 * What a running daemon cannot change without ending connections or opening its data anew is refused whole, by name:
 * then nothing of the new configuration applies. What is new beside what runs is no such change.
 */
export function refuseWhatNeedsRestart(live: Config, next: Config): void {
  const changed = [
    ...differing(live, next, ["dataDirectory", "database", "node", "geoIp"]),
    ...differing(live.http, next.http, ["listen", "publicUrl", "tls"]).map((key) => `http.${key}`),
    ...differing(live.scripts, next.scripts, ["account", "python", "workers", "threads"]).map(
      (key) => `scripts.${key}`,
    ),
    ...changedProfiles(live.profiles, next.profiles),
  ];
  if (changed.length === 0) return;
  throw new SallyportError(
    "config-invalid",
    `${changed.join(", ")} cannot change while connections are open: restart the daemon to apply this, which ends every connection and lets clients come back, or undo it. Nothing was applied`,
  );
}

/**
 * Makes ready what the next configuration has beside the live one: profiles, and listeners of profiles. `start` has them
 * served, all or none of them; nobody who is connected notices. Errors: `conflict` where a port is taken, and those of
 * the drivers' `add`.
 */
export async function prepareAdditions(options: {
  live: Config;
  next: Config;
  openvpn: Pick<OpenVpnDriver, "add">;
  wireguard: Pick<WireGuardDriver, "add">;
  authority: Authority;
  openVpnProgram: string | undefined;
}): Promise<{ start(): Promise<void> }> {
  const { live, next, openvpn, wireguard, authority, openVpnProgram } = options;
  const added = { ...next, profiles: next.profiles.flatMap((profile) => additionsTo(live.profiles, profile)) };
  await requireFreePorts(added);
  const listeners = await openVpnListeners(added, authority, openVpnProgram);
  const interfaces = await wireGuardInterfaces(added);
  return {
    async start() {
      const takeAway = await wireguard.add(interfaces);
      try {
        await openvpn.add(listeners);
      } catch (error) {
        await takeAway();
        throw error;
      }
    },
  };
}

/** The profile itself where it is new, and one that runs with nothing but the listeners that are new. */
function additionsTo(live: readonly ProfileConfig[], profile: ProfileConfig): ProfileConfig[] {
  const before = live.find(({ id }) => id === profile.id);
  if (before === undefined) return [profile];
  const [was, tunnel] = [managedOpenVpn(before), managedOpenVpn(profile)];
  if (was === undefined || tunnel === undefined) return [];
  const listeners = tunnel.listeners.filter(({ name }) => !was.listeners.some((one) => one.name === name));
  return listeners.length === 0 ? [] : [{ ...profile, tunnel: { ...tunnel, listeners } }];
}

function changedProfiles(live: readonly ProfileConfig[], next: readonly ProfileConfig[]): string[] {
  return live.flatMap((before) => {
    const { id } = before;
    const after = next.find((profile) => profile.id === id);
    if (after === undefined) return [`profile ${id} (removed)`];
    const gone = removedListeners(before, after).map((name) => `profile ${id}: ${name} (removed)`);
    const changed = differing(comparable(before), comparable(after), ["tunnel", "ranges"]);
    return [...gone, ...changed.map((key) => `profile ${id}: ${wordOf(before, key)}`)];
  });
}

function managedOpenVpn({ tunnel }: ProfileConfig): OpenVpnManaged | undefined {
  return tunnel.protocol === "openvpn" && tunnel.mode === "managed" ? tunnel : undefined;
}

function removedListeners(before: ProfileConfig, after: ProfileConfig): string[] {
  const [was, is] = [managedOpenVpn(before), managedOpenVpn(after)];
  if (was === undefined || is === undefined) return [];
  return was.listeners.map(({ name }) => name).filter((name) => !is.listeners.some((one) => one.name === name));
}

/** Listeners are told apart by themselves. */
function comparable(profile: ProfileConfig): ProfileConfig {
  const tunnel = managedOpenVpn(profile);
  return tunnel === undefined ? profile : { ...profile, tunnel: { ...tunnel, listeners: [] } };
}

/** The configuration's own word: what a tunnel is stands under its protocol. */
function wordOf(profile: ProfileConfig, key: string): string {
  return key === "tunnel" ? profile.tunnel.protocol : key;
}

function differing<T extends object>(live: T, next: T, keys: readonly (keyof T & string)[]): string[] {
  return keys.filter((key) => !isDeepStrictEqual(live[key], next[key]));
}
