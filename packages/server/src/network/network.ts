import type { AddressRange } from "../core/address-range.ts";
import type { Connection } from "../core/connection.ts";
import type { GroupSnapshot, Properties } from "../core/properties.ts";

/**
 * The port to the machine's network: routes, gateways, forwarding, NAT and access rules of admitted clients. Order of
 * calls: `start` before any VPN daemon is driven; for each client `admit` before its daemon is told yes (a rejection
 * refuses it), and `release` when its tunnel is gone, or when it was not admitted after all; `restore` after each attach
 * to a daemon, once the ledger was held against it; `stop` after the last `release`. Calls may overlap, and take effect
 * in the order they were made. A device is the name of a VPN daemon's network interface.
 */
export interface Network {
  /**
   * Makes everything so for these profiles, and for the clients that the ledger says are connected, in one step:
   * no moment passes in which a connected client has no rules, or others than it should. Once more after a reload:
   * then the list says what connected clients were told, and who is connected is known from the other calls.
   * @throws SallyportError `network-failed`
   */
  start(options: { profiles: readonly NetworkProfile[]; clients: readonly NetworkClient[] }): Promise<void>;
  /**
   * Nothing passes before it resolves.
   * @throws SallyportError `network-failed`, or `too-busy` where too many wait before it; then nothing of it stays
   */
  admit(client: NetworkClient): Promise<void>;
  /** Nothing passes once it resolves. Never rejects: what cannot be undone now is when the next change is made. */
  release(connectionId: string): Promise<void>;
  /** Exactly these clients are on this device, whatever was there before: the device may have been made anew. */
  restore(device: string, clients: readonly NetworkClient[]): Promise<void>;
  /** What stands between clients and what they should reach. */
  inspect(): Promise<NetworkFinding[]>;
  /** `end`: nothing of ours stays on the machine. `leave`: everything stays as it is, for connected clients. */
  stop(how: "end" | "leave"): Promise<void>;
}

/** What the network needs to know of a profile whose daemons are ours. */
export type NetworkProfile = {
  id: string;
  ranges: { ipv4: AddressRange | null; ipv6: AddressRange | null };
  /** Canonical CIDRs that its clients may reach where no rule of theirs says otherwise. */
  routes: readonly string[];
  /** False: its clients reach this machine alone. */
  forwarding: boolean;
  nat: "masquerade" | "none";
  /** Every interface its clients may be on. */
  devices: readonly string[];
};

export type NetworkClient = {
  /** The ledger's id. */
  connectionId: string;
  profileId: string;
  userId: string;
  group: GroupSnapshot | null;
  /** As they were after the scripts had their say. */
  properties: Properties;
  device: string;
  ipv4: string | null;
  ipv6: string | null;
  /** The server's addresses that the client was told; those of group subnets are put on the device. */
  gateways: readonly string[];
  /** What the client was told to send through the tunnel, and the DNS servers to ask. */
  routes: readonly string[];
  dns: readonly string[];
};

/** For `doctor`: what was found and how to mend it. A fault keeps clients from what they should reach. */
export type NetworkFinding = { severity: "fault" | "warning"; message: string; next: string };

type Told = {
  ipv4: { gateway: string } | null;
  ipv6: { gateway: string } | null;
  routes: readonly string[];
  dns: readonly string[];
};

/** The network's view of a connection that was, or is being, told `told` on this device. */
export function networkClient(connection: Connection, told: Told, device: string): NetworkClient {
  const { id: connectionId, profileId, userId, group, properties, ipv4, ipv6 } = connection;
  const gateways = [told.ipv4, told.ipv6].flatMap((assigned) => assigned?.gateway ?? []);
  const { routes, dns } = told;
  return { connectionId, profileId, userId, group, properties, device, ipv4, ipv6, gateways, routes, dns };
}
