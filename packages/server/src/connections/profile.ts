import type { AddressRange } from "../core/address-range.ts";
import type { Connection } from "../core/connection.ts";
import type { Tunnel } from "../core/vpn-event.ts";

/** What connections need to know of a profile: where its addresses come from and what its clients are told. */
export type ConnectionProfile = {
  id: string;
  ranges: { ipv4: AddressRange | null; ipv6: AddressRange | null };
  routes: readonly string[];
  dns: readonly string[];
  /** Null: no limit. */
  sessionExpiryMs: number | null;
};

export function tunnelOf(connection: Pick<Connection, "profileId" | "listener" | "tunnelKey">): Tunnel {
  return { profileId: connection.profileId, listener: connection.listener, key: connection.tunnelKey };
}

export function tunnelText(tunnel: Tunnel): string {
  return JSON.stringify([tunnel.profileId, tunnel.listener, tunnel.key]);
}
