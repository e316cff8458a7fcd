import type { GroupSnapshot, Properties } from "./properties.ts";

export const endReasons = [
  "client",
  "admin",
  "expired",
  "replaced",
  "disabled",
  "rejected",
  "node-lost",
  "shutdown",
] as const;

/** Why a connection ended; hooks read it as `VPN_DISCONNECT_REASON`. */
export type EndReason = (typeof endReasons)[number];

/**
 * Where a row of the ledger stands. `reserved`: it holds its address while the connect hooks are asked.
 * `admitted`: the daemon is being told yes. `open`: traffic can flow. `ended`: for good.
 */
export type ConnectionState = "reserved" | "admitted" | "open" | "ended";

/** One row of the ledger. Times are ISO 8601 UTC, addresses canonical, bytes seen from the server. */
export type Connection = {
  id: string;
  userId: string;
  profileId: string;
  nodeNumber: number;
  listener: string;
  protocol: "openvpn" | "wireguard";
  /** Hooks' `VPN_CONNECTION_ID`: the certificate's common name, or the WireGuard public key. */
  connectionId: string;
  /** The driver's name of the tunnel (`Tunnel.key`); changes when a daemon is adopted again. */
  tunnelKey: string;
  attemptId: string;
  ipv4: string | null;
  ipv6: string | null;
  originatingIp: string | null;
  state: ConnectionState;
  /** As they were after the scripts had their say. */
  properties: Properties;
  group: GroupSnapshot | null;
  connectEventId: string;
  disconnectEventId: string;
  reservedAt: string;
  admittedAt: string | null;
  establishedAt: string | null;
  /** When it is ended as `expired`; null: it lasts as long as it likes. */
  expiresAt: string | null;
  endedAt: string | null;
  endReason: EndReason | null;
  /** What an administrator wants to know beside the reason: who refused, which failure. */
  endDetail: string | null;
  /** From the client. */
  bytesIn: number;
  /** To the client. */
  bytesOut: number;
  /** The Class attributes of the RADIUS server that let it in, as `replyValues` writes them: accounting gives them back. */
  radiusClasses?: readonly string[];
  /** WireGuard: the client config it belongs to, which holds its addresses. */
  clientConfigId?: string;
  /** WireGuard: what began it, the making of its client config or a handshake. */
  trigger?: Trigger;
};

/** What connects and disconnects a WireGuard device; hooks read it as `VPN_TRIGGER`. */
export type Trigger = "config" | "handshake";

/** Whole seconds for which traffic could flow, up to `nowMs` while it can; 0 for who was never let in. */
export function secondsOpen(
  { establishedAt, admittedAt, endedAt }: Pick<Connection, "establishedAt" | "admittedAt" | "endedAt">,
  { since, nowMs }: { since?: string | undefined; nowMs?: number } = {},
): number {
  const from = since ?? establishedAt ?? admittedAt;
  const untilMs = endedAt === null ? nowMs : Date.parse(endedAt);
  if (from === null || untilMs === undefined) return 0;
  return Math.max(0, Math.floor((untilMs - Date.parse(from)) / 1_000));
}
