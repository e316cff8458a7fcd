import type { ConnectionEvent } from "@sallyport/protocol";
import { type Connection, secondsOpen } from "../core/connection.ts";
import type { EarlierPart, HookEvent } from "../core/hook.ts";
import type { Locate } from "./geo-ip.ts";

/** What hooks are told of this machine, and of where an address is, where it knows. */
export type NodeFacts = { number: number; url: string; hostName: string; locate?: Locate };

/** A row of the ledger as hooks are told of it. A field that has no value, or none for this event, is left out. */
export function connectionEvent(options: {
  connection: Connection;
  event: HookEvent;
  eventId: string;
  attempt: number;
  node: NodeFacts;
  /** What the hook takes for one connection with it: then it is told of both as one. */
  earlier?: EarlierPart;
}): ConnectionEvent {
  const { connection, event, eventId, attempt, node, earlier } = options;
  return {
    event: event === "connect" ? "C" : "D",
    eventId,
    sessionId: earlier?.sessionId ?? connection.id,
    attempt,
    userId: connection.userId,
    profileId: connection.profileId,
    connectionId: connection.connectionId,
    ...(connection.ipv4 !== null && { ipFour: connection.ipv4 }),
    ...(connection.ipv6 !== null && { ipSix: connection.ipv6 }),
    proto: connection.protocol,
    ...(connection.trigger !== undefined && { trigger: connection.trigger }),
    nodeNumber: node.number,
    nodeUrl: node.url,
    nodeHostName: node.hostName,
    ...(event === "connect" ? ofConnect(connection, node) : ofDisconnect(connection, earlier)),
  };
}

function ofConnect({ protocol, originatingIp }: Connection, { locate }: NodeFacts): Partial<ConnectionEvent> {
  if (originatingIp === null) return {};
  const { country, uri } = locate?.(originatingIp) ?? {};
  return {
    ...(protocol === "openvpn" && { originatingIp }),
    ...(country !== undefined && { geoIpCc: country }),
    ...(uri !== undefined && { geoIpUri: uri }),
  };
}

function ofDisconnect(connection: Connection, earlier: EarlierPart | undefined): Partial<ConnectionEvent> {
  const { bytesIn, bytesOut, endReason } = connection;
  return {
    bytesIn: bytesIn + (earlier?.bytesIn ?? 0),
    bytesOut: bytesOut + (earlier?.bytesOut ?? 0),
    durationSeconds: secondsOpen(connection, { since: earlier?.since }),
    ...(endReason !== null && { disconnectReason: endReason }),
  };
}
