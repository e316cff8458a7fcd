import type { Connection } from "../../core/connection.ts";

/** A listener in the order of the configuration; Access Server calls them `openvpn_0`, `openvpn_1`, …. */
export type ListenerName = { profileId: string; listener: string };

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

/** `VPNStatus`: connections by listener, those without any too, in the columns of OpenVPN's `status 2`. */
export function vpnStatus(options: {
  listeners: readonly ListenerName[];
  open: readonly Connection[];
  now: Date;
}): Record<string, DaemonStatus> {
  const { listeners, open, now } = options;
  const known = listeners.map(nameOf);
  const others = [...new Set(open.map(nameOf))].filter((name) => !known.includes(name)).sort();
  return Object.fromEntries(
    [...known, ...others].map((name, number) => [
      `openvpn_${number}`,
      daemonStatus({ connections: open.filter((connection) => nameOf(connection) === name), now }),
    ]),
  );
}

function nameOf({ profileId, listener }: ListenerName): string {
  return `${profileId} ${listener}`;
}

function daemonStatus({ connections, now }: { connections: readonly Connection[]; now: Date }): DaemonStatus {
  return {
    client_list: connections.map(clientRow),
    client_list_header: placesOf(clientColumns),
    routing_table: connections.flatMap((connection) => routeRows(connection, now)),
    routing_table_header: placesOf(routeColumns),
    time: [dateText(now), seconds(now)],
    title: "Sallyport",
  };
}

function clientRow(connection: Connection): string[] {
  const { connectionId, originatingIp, ipv4, ipv6, bytesIn, bytesOut, userId, tunnelKey } = connection;
  const since = new Date(connection.establishedAt ?? connection.admittedAt ?? connection.reservedAt);
  return [
    connectionId,
    originatingIp ?? "",
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

function routeRows({ connectionId, originatingIp, ipv4, ipv6 }: Connection, now: Date): string[][] {
  const addresses = [ipv4, ipv6].filter((address) => address !== null);
  return addresses.map((address) => [address, connectionId, originatingIp ?? "", dateText(now), seconds(now)]);
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
