/**
 * What a hook is told of a connection. The JSON form (a script's standard input, a webhook's body) has these names;
 * the environment of a script has them as `VPN_*`. A field without a value is left out of both.
 */
export type ConnectionEvent = {
  /** C: connect, D: disconnect. */
  event: "C" | "D";
  /** The same on every attempt to tell it. */
  eventId: string;
  /** The row of the ledger. */
  sessionId: string;
  /** Attempts begun, from 1. */
  attempt: number;
  userId: string;
  profileId: string;
  /** OpenVPN: the certificate's common name. WireGuard: the public key. */
  connectionId: string;
  ipFour?: string;
  ipSix?: string;
  /** C, OpenVPN. */
  originatingIp?: string;
  proto: "openvpn" | "wireguard";
  /** WireGuard: what connects and disconnects the device, its client config or its handshakes. */
  trigger?: "config" | "handshake";
  /** D: from the client. */
  bytesIn?: number;
  /** D: to the client. */
  bytesOut?: number;
  /** C: two-letter country code. */
  geoIpCc?: string;
  /** C: a `geo:` URI (RFC 5870). */
  geoIpUri?: string;
  nodeNumber: number;
  nodeUrl: string;
  nodeHostName: string;
  /** D. */
  durationSeconds?: number;
  /** D. */
  disconnectReason?: string;
};

const variableOf: Record<keyof ConnectionEvent, string> = {
  event: "VPN_EVENT",
  eventId: "VPN_EVENT_ID",
  sessionId: "VPN_SESSION_ID",
  attempt: "VPN_ATTEMPT",
  userId: "VPN_USER_ID",
  profileId: "VPN_PROFILE_ID",
  connectionId: "VPN_CONNECTION_ID",
  ipFour: "VPN_IP_FOUR",
  ipSix: "VPN_IP_SIX",
  originatingIp: "VPN_ORIGINATING_IP",
  proto: "VPN_PROTO",
  trigger: "VPN_TRIGGER",
  bytesIn: "VPN_BYTES_IN",
  bytesOut: "VPN_BYTES_OUT",
  geoIpCc: "VPN_GEO_IP_CC",
  geoIpUri: "VPN_GEO_IP_URI",
  nodeNumber: "VPN_NODE_NUMBER",
  nodeUrl: "VPN_NODE_URL",
  nodeHostName: "VPN_NODE_HOST_NAME",
  durationSeconds: "VPN_DURATION_SECONDS",
  disconnectReason: "VPN_DISCONNECT_REASON",
};

/** eduVPN's earliest scripts read the same names without `VPN_`; only what existed then. */
const legacyFields: readonly (keyof ConnectionEvent)[] = [
  "event",
  "userId",
  "profileId",
  "connectionId",
  "ipFour",
  "ipSix",
  "originatingIp",
  "proto",
  "bytesIn",
  "bytesOut",
];

/**
 * A script hook's variables, whole: only `PATH`, `LANG` and `HOME` join them. `legacyNames` adds the unprefixed ones
 * (`EVENT`, `USER_ID`, …).
 */
export function hookEnvironment(
  event: ConnectionEvent,
  options: { legacyNames?: boolean } = {},
): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, variable] of Object.entries(variableOf)) {
    const field = name as keyof ConnectionEvent;
    const value = event[field];
    if (value === undefined) continue;
    variables[variable] = String(value);
    if (options.legacyNames && legacyFields.includes(field)) variables[variable.replace(/^VPN_/, "")] = String(value);
  }
  return variables;
}
