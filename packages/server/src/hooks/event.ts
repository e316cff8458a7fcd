import type { ConnectionEvent } from "@sallyport/protocol";
import type { Connection } from "../core/connection.ts";
import type { HookEvent } from "../core/hook.ts";

/** What hooks are told of this machine. */
export type NodeFacts = { number: number; url: string; hostName: string };

/** A row of the ledger as hooks are told of it. A field that has no value, or none for this event, is left out. */
export function connectionEvent(options: {
  connection: Connection;
  event: HookEvent;
  eventId: string;
  attempt: number;
  node: NodeFacts;
}): ConnectionEvent {
  const { connection, event, eventId, attempt, node } = options;
  return {
    event: event === "connect" ? "C" : "D",
    eventId,
    sessionId: connection.id,
    attempt,
    userId: connection.userId,
    profileId: connection.profileId,
    connectionId: connection.connectionId,
    ...(connection.ipv4 !== null && { ipFour: connection.ipv4 }),
    ...(connection.ipv6 !== null && { ipSix: connection.ipv6 }),
    proto: connection.protocol,
    nodeNumber: node.number,
    nodeUrl: node.url,
    nodeHostName: node.hostName,
    ...(event === "connect" ? ofConnect(connection) : ofDisconnect(connection)),
  };
}

function ofConnect({ protocol, originatingIp }: Connection): Partial<ConnectionEvent> {
  return protocol === "openvpn" && originatingIp !== null ? { originatingIp } : {};
}

function ofDisconnect(connection: Connection): Partial<ConnectionEvent> {
  const { bytesIn, bytesOut, endReason } = connection;
  return {
    bytesIn,
    bytesOut,
    durationSeconds: durationSeconds(connection),
    ...(endReason !== null && { disconnectReason: endReason }),
  };
}

/** Whole seconds from when traffic could flow; 0 for who was never let in. */
function durationSeconds({ establishedAt, admittedAt, endedAt }: Connection): number {
  const from = establishedAt ?? admittedAt;
  if (from === null || endedAt === null) return 0;
  return Math.max(0, Math.floor((Date.parse(endedAt) - Date.parse(from)) / 1_000));
}
