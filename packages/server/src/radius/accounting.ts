import { isIPv4 } from "node:net";
import ipaddr from "ipaddr.js";
import type { EndReason } from "../core/connection.ts";
import { attribute, integerAttribute, nasPortTypeVirtual, type RadiusAttribute, textAttribute } from "./packet.ts";

/** One thing an accounting server is told about a connection (RFC 2866, RFC 2869). Addresses are canonical. */
export type AccountingEvent = {
  status: "start" | "interim" | "stop";
  /** The same for every event of one connection: the ledger row's id. */
  sessionId: string;
  userId: string;
  nasIdentifier: string;
  at: Date;
  clientAddress: string | null;
  ipv4: string | null;
  ipv6: string | null;
  /** From and to the client; sent with `interim` and `stop`. */
  bytesIn: number;
  bytesOut: number;
  durationSeconds: number;
  /** Sent with `stop`. */
  endReason: EndReason | null;
  /** The Class attributes of the Access-Accept, which the server wants back unchanged. */
  classes: readonly Buffer[];
  /** How late this is told. */
  delaySeconds: number;
};

const statuses = { start: 1, stop: 2, interim: 3 } as const;

/** Acct-Terminate-Cause (RFC 2866 section 5.10). */
const causes: Record<EndReason, number> = {
  client: 1, // User Request
  "node-lost": 2, // Lost Carrier
  expired: 5, // Session Timeout
  admin: 6, // Admin Reset
  disabled: 6,
  shutdown: 7, // Admin Reboot
  replaced: 10, // NAS Request
  rejected: 10,
};

export function accountingAttributes(event: AccountingEvent): RadiusAttribute[] {
  const attributes = [
    integerAttribute(attribute.acctStatusType, statuses[event.status]),
    textAttribute(attribute.acctSessionId, event.sessionId),
    textAttribute(attribute.userName, event.userId),
    textAttribute(attribute.nasIdentifier, event.nasIdentifier),
    integerAttribute(attribute.nasPortType, nasPortTypeVirtual),
    integerAttribute(attribute.eventTimestamp, Math.floor(event.at.getTime() / 1000)),
    integerAttribute(attribute.acctDelayTime, event.delaySeconds),
  ];
  if (event.clientAddress !== null) attributes.push(textAttribute(attribute.callingStationId, event.clientAddress));
  if (event.ipv4 !== null) attributes.push(addressAttribute(attribute.framedIpAddress, event.ipv4));
  if (event.ipv6 !== null) attributes.push(addressAttribute(attribute.framedIpv6Address, event.ipv6));
  for (const value of event.classes) attributes.push({ type: attribute.class, value });
  if (event.status === "start") return attributes;
  attributes.push(
    integerAttribute(attribute.acctSessionTime, event.durationSeconds),
    // 32-bit counters and how often each of them has gone round.
    integerAttribute(attribute.acctInputOctets, event.bytesIn),
    integerAttribute(attribute.acctInputGigawords, Math.floor(event.bytesIn / 2 ** 32)),
    integerAttribute(attribute.acctOutputOctets, event.bytesOut),
    integerAttribute(attribute.acctOutputGigawords, Math.floor(event.bytesOut / 2 ** 32)),
  );
  if (event.status === "stop" && event.endReason !== null) {
    attributes.push(integerAttribute(attribute.acctTerminateCause, causes[event.endReason]));
  }
  return attributes;
}

/** An IPv4 or IPv6 address as its 4 or 16 bytes. */
export function addressAttribute(type: number, address: string): RadiusAttribute {
  const parsed = isIPv4(address) ? ipaddr.IPv4.parse(address) : ipaddr.IPv6.parse(address);
  return { type, value: Buffer.from(parsed.toByteArray()) };
}
