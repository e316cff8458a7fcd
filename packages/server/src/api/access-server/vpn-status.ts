import type { Connection } from "../../core/connection.ts";
import type { ClientConfig } from "../../store/store.ts";

/** A listener in the order of the configuration; Access Server calls them `openvpn_0`, `openvpn_1`, …. */
export type ListenerName = { profileId: string; listener: string };

/** Which of them are OpenVPN's, and which are interfaces of WireGuard: `wireguard_0`, `wireguard_1`, …. */
export type ListenerNames = Readonly<Record<Connection["protocol"], readonly ListenerName[]>>;

/** Client configs of WireGuard's devices by id: their last handshake and where it came from. */
export type Sightings = ReadonlyMap<string, Pick<ClientConfig, "lastSeenAt" | "endpoint">>;

const clientColumns = [
  "Common Name",
  "Real Address",
  "Virtual Address",
  "Virtual IPv6 Address",
  "Bytes Received",
  "Bytes Sent",
  "Connected Since",
  "Connected Since (time_t)",
  "Username",
  "Client ID",
  "Peer ID",
] as const;

const routeColumns = ["Virtual Address", "Common Name", "Real Address", "Last Ref", "Last Ref (time_t)"] as const;

/** What one VPN daemon says of itself: rows of texts, and the place of each column. */
export type DaemonStatus = {
  client_list: string[][];
  client_list_header: Record<string, number>;
  routing_table: string[][];
  routing_table_header: Record<string, number>;
  time: [string, string];
  title: string;
};

/**
 * `VPNStatus`: connections by listener, those without any too, in the columns of OpenVPN's `status 2`. A device of
 * WireGuard has its public key for a common name, and its last handshake for a last reference: 0 before the first.
 */
export function vpnStatus(options: {
  listeners: ListenerNames;
  open: readonly Connection[];
  seen: Sightings;
  now: Date;
}): Record<string, DaemonStatus> {
  return { ...daemonsOf("openvpn", options), ...daemonsOf("wireguard", options) };
}

function daemonsOf(
  protocol: Connection["protocol"],
  { listeners, open, seen, now }: Parameters<typeof vpnStatus>[0],
): Record<string, DaemonStatus> {
  const own = open.filter((connection) => connection.protocol === protocol);
  const known = listeners[protocol].map(nameOf);
  const others = [...new Set(own.map(nameOf))].filter((name) => !known.includes(name)).sort();
  return Object.fromEntries(
    [...known, ...others].map((name, number) => [
      `${protocol}_${number}`,
      daemonStatus({ connections: own.filter((connection) => nameOf(connection) === name), seen, now }),
    ]),
  );
}

function nameOf({ profileId, listener }: ListenerName): string {
  return `${profileId} ${listener}`;
}

function daemonStatus(given: { connections: readonly Connection[]; seen: Sightings; now: Date }): DaemonStatus {
  const { connections, seen, now } = given;
  const sightingOf = ({ clientConfigId }: Connection) => seen.get(clientConfigId ?? "");
  return {
    client_list: connections.map((connection) => clientRow(connection, sightingOf(connection)?.endpoint)),
    client_list_header: placesOf(clientColumns),
    routing_table: connections.flatMap((connection) => {
      const { lastSeenAt, endpoint } = sightingOf(connection) ?? {};
      const shookHands = lastSeenAt === undefined ? null : new Date(lastSeenAt);
      return routeRows(connection, endpoint, connection.protocol === "wireguard" ? shookHands : now);
    }),
    routing_table_header: placesOf(routeColumns),
    time: [dateText(now), seconds(now)],
    title: "Sallyport",
  };
}

function clientRow(connection: Connection, endpoint: string | undefined): string[] {
  const { connectionId, originatingIp, ipv4, ipv6, bytesIn, bytesOut, userId, tunnelKey } = connection;
  const since = new Date(connection.establishedAt ?? connection.admittedAt ?? connection.reservedAt);
  return [
    connectionId,
    endpoint ?? originatingIp ?? "",
    ipv4 ?? "",
    ipv6 ?? "",
    String(bytesIn),
    String(bytesOut),
    dateText(since),
    seconds(since),
    userId,
    tunnelKey,
    "",
  ];
}

/** `at`: when a packet of its was last seen; null where none was. */
function routeRows(connection: Connection, endpoint: string | undefined, at: Date | null): string[][] {
  const { connectionId, originatingIp, ipv4, ipv6 } = connection;
  const addresses = [ipv4, ipv6].filter((address) => address !== null);
  const lastRef = at === null ? ["", "0"] : [dateText(at), seconds(at)];
  return addresses.map((address) => [address, connectionId, endpoint ?? originatingIp ?? "", ...lastRef]);
}

function placesOf(columns: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    columns.map((column, place) => [column, place] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function dateText(at: Date): string {
  return at.toISOString().slice(0, 19).replace("T", " ");
}

function seconds(at: Date): string {
  return String(Math.floor(at.getTime() / 1000));
}
