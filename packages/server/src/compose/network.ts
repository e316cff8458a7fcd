import { join } from "node:path";
import { allSubnets } from "../accounts/lookup.ts";
import type { Config } from "../config/config.ts";
import { type AddressRange, parseRange } from "../core/address-range.ts";
import type { Log } from "../core/log.ts";
import { deviceName } from "../drivers/openvpn/server-config.ts";
import { tableName } from "../network/linux/base-table.ts";
import { createLinuxNetwork } from "../network/linux/linux-network.ts";
import type { Network, NetworkProfile } from "../network/network.ts";
import type { AccountStore } from "../store/store.ts";
import { listenerDirectory } from "./openvpn.ts";

export function composeNetwork(options: { config: Config; accounts: AccountStore; log: Log }): Network {
  const { dataDirectory } = options.config;
  return createLinuxNetwork({
    table: tableName(dataDirectory),
    stateFile: join(dataDirectory, "network.json"),
    groupSubnets: () => groupSubnets(options.accounts),
    log: options.log,
  });
}

/** Subnets of all groups, as they are now. */
export async function groupSubnets(accounts: AccountStore): Promise<AddressRange[]> {
  return (await allSubnets(accounts)).map(({ cidr }) => parseRange(cidr)).filter((range) => range !== undefined);
}

/** The profiles whose daemons, and so whose network, are ours. */
export function networkProfiles(config: Config): NetworkProfile[] {
  return config.profiles.flatMap(({ id, tunnel, ranges, routes, forwarding, nat }) => {
    if (tunnel.mode !== "managed") return [];
    const devices =
      tunnel.protocol === "wireguard"
        ? [tunnel.interface]
        : tunnel.listeners.map(({ name }) => openVpnDevice(config, id, name));
    return [{ id, ranges, routes, forwarding, nat, devices }];
  });
}

/** The network interface of a listener; null for a server that is not ours. */
export function deviceOf(
  config: Config,
  { profileId, listener }: { profileId: string; listener: string },
): string | null {
  const tunnel = config.profiles.find(({ id }) => id === profileId)?.tunnel;
  if (tunnel?.mode !== "managed") return null;
  return tunnel.protocol === "wireguard" ? tunnel.interface : openVpnDevice(config, profileId, listener);
}

function openVpnDevice(config: Config, profileId: string, listener: string): string {
  return deviceName(profileId, listener, listenerDirectory(config, profileId, listener));
}
