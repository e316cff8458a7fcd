import { join } from "node:path";
import { agentConfigLines, appVerifyLines, parseAppVerify } from "@sallyport/protocol";
import { agentRoutes } from "../api/agent.ts";
import type { CommandTable } from "../api/command.ts";
import { clientScriptCommands } from "../api/commands/client-scripts.ts";
import type { Routes } from "../api/http.ts";
import type { Authority } from "../client-configs/authority.ts";
import { createClientScripts } from "../client-scripts/definitions.ts";
import { createHandOut, type HandOut } from "../client-scripts/hand-out.ts";
import { withScriptProperties } from "../client-scripts/script-properties.ts";
import { openSigningKeys } from "../client-scripts/signing-keys.ts";
import type { Config, ProfileConfig } from "../config/config.ts";
import { type AddressRange, gatewayOf, parseRange, rangeHolds } from "../core/address-range.ts";
import type { Log } from "../core/log.ts";
import type { ClientScriptStore } from "../store/client-script-store.ts";
import type { AccountStore, Store } from "../store/store.ts";
import { groupSubnets } from "./network.ts";

/** Scripts for users' machines, put together. */
export type ClientScripts = {
  /** Accounts whose properties hold the scripts under Access Server's names. */
  accounts: AccountStore;
  commands: CommandTable;
  routes: Routes;
  ticketFor: HandOut["ticketFor"];
  /** Comment lines for the client configs of a profile: what agents need to know, and the host check's questions. */
  comments(profileId: string, device?: DeviceAddresses): Promise<string[]>;
  /** What agents told of the scripts of connections. */
  reports: Pick<ClientScriptStore, "reports" | "reportCounts">;
};

export async function composeClientScripts(options: {
  config: Pick<Config, "dataDirectory" | "http">;
  profiles: () => readonly ProfileConfig[];
  store: Store;
  authority: Pick<Authority, "caPem">;
  log: Log;
}): Promise<ClientScripts> {
  const { config, profiles, store, authority, log } = options;
  const profileOf = (id: string) => profiles().find((profile) => profile.id === id);
  const keys = await openSigningKeys({ directory: join(config.dataDirectory, "client-scripts") });
  const scripts = createClientScripts({
    store: store.clientScripts,
    groupExists: async (name) => (await store.accounts.group(name)) !== undefined,
  });
  const handOut = createHandOut({
    store: store.clientScripts,
    ledger: store.ledger,
    settings: store.settings,
    keys,
    tunnelAddresses: ({ profileId, group }) => [
      ...serverAddresses(profileOf(profileId)),
      ...(group?.subnets ?? []).flatMap((cidr) => gatewaysOf([parseRange(cidr)])),
    ],
    log,
  });

  /** Where a device finds the server: members of a group with subnets have its first address there. */
  const addressFor = async (profile: ProfileConfig, device: DeviceAddresses): Promise<string | null> => {
    const subnets = await groupSubnets(store.accounts);
    const holding = [device.ipv4, device.ipv6].flatMap((address) =>
      address === undefined ? [] : subnets.filter((range) => rangeHolds(range, address)),
    );
    const [smallest] = holding.sort((a, b) => b.prefixLength - a.prefixLength);
    return gatewaysOf([smallest])[0] ?? serverAddresses(profile)[0] ?? null;
  };
  const agentLines = (profile: ProfileConfig, address: string | null): string[] => {
    const inTunnel = profile.tunnel.protocol === "wireguard";
    return agentConfigLines({
      url: config.http.publicUrl.replace(/\/+$/, ""),
      serverId: keys.serverId(),
      publicKeys: [keys.current().publicKey],
      address: inTunnel ? address : null,
      // An OpenVPN file has it in <ca>; a certificate of somebody else's is checked by what the machine trusts.
      caPem: inTunnel && config.http.tls === null ? authority.caPem : null,
    });
  };
  const questions = async () => parseAppVerify((await store.settings.get("vpn.client.app_verify")) ?? "").queries;

  return {
    accounts: withScriptProperties({ accounts: store.accounts, scripts, store: store.clientScripts }),
    commands: clientScriptCommands({
      scripts,
      keys,
      comments: async () =>
        Object.fromEntries(
          profiles().map((profile) => [profile.id, agentLines(profile, serverAddresses(profile)[0] ?? null)]),
        ),
    }),
    routes: agentRoutes({ handOut, log }),
    ticketFor: handOut.ticketFor,
    async comments(profileId, device = {}) {
      const profile = profileOf(profileId);
      if (profile === undefined) return [];
      // A WireGuard client has no way to answer.
      const asked = profile.tunnel.protocol === "openvpn" ? appVerifyLines(await questions()) : [];
      return [...agentLines(profile, await addressFor(profile, device)), ...asked];
    },
    reports: store.clientScripts,
  };
}

/** Of a WireGuard device. */
type DeviceAddresses = { ipv4?: string; ipv6?: string };

/** The server's own addresses inside a profile's tunnels. */
function serverAddresses(profile: ProfileConfig | undefined): string[] {
  return gatewaysOf([profile?.ranges.ipv4, profile?.ranges.ipv6]);
}

function gatewaysOf(ranges: readonly (AddressRange | null | undefined)[]): string[] {
  return ranges.flatMap((range) => (range ? [gatewayOf(range)] : []));
}
