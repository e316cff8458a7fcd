import type { AddressRange } from "../core/address-range.ts";
import type { Allow } from "../core/decision.ts";
import type { ErrorCode } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import type { Properties } from "../core/properties.ts";
import type { AccessRequest } from "../core/vpn-event.ts";
import type { Reservation, Reserved } from "../store/store.ts";
import { addressWishes } from "./addresses.ts";
import type { ConnectionProfile } from "./profile.ts";

/** The row that a decision becomes, and the addresses it asks for. */
export function reservationOf(options: {
  request: AccessRequest;
  decision: Allow;
  profile: ConnectionProfile;
  groupSubnets: readonly AddressRange[];
  nodeNumber: number;
  subscribers: readonly string[];
}): Reservation {
  const { request, decision, profile, groupSubnets, nodeNumber, subscribers } = options;
  const { userId, properties, group } = decision;
  const reservedAt = new Date().toISOString();
  return {
    ...addressWishes({ properties, group, profile, groupSubnets }),
    mostConnections: connectionLimit(properties),
    subscribers,
    connection: {
      id: newId(),
      userId,
      profileId: request.tunnel.profileId,
      nodeNumber,
      listener: request.tunnel.listener,
      protocol: request.protocol,
      connectionId: request.device?.publicKey ?? request.certificate?.commonName ?? userId,
      tunnelKey: request.tunnel.key,
      attemptId: decision.attemptId,
      // A WireGuard device that is let in by its making may come from anywhere.
      originatingIp: request.device?.trigger === "config" ? null : request.clientAddress,
      state: "reserved",
      properties,
      group,
      connectEventId: newId(),
      disconnectEventId: newId(),
      reservedAt,
      admittedAt: null,
      establishedAt: null,
      expiresAt: expiryOf(decision, profile, reservedAt, request.device !== undefined),
      endedAt: null,
      endReason: null,
      endDetail: null,
      bytesIn: 0,
      bytesOut: 0,
      ...(decision.radiusClasses && { radiusClasses: decision.radiusClasses }),
      ...(request.device && { clientConfigId: request.device.clientConfigId, trigger: request.device.trigger }),
    },
  };
}

export function refusalText({ refused, heldBy }: Extract<Reserved, { refused: ErrorCode }>): string {
  switch (refused) {
    case "address-in-use":
      return `the fixed address is held by ${heldBy ?? "(unknown)"}, a connection or client config`;
    case "too-many-connections":
      return "the user has as many connections as prop_max_connections allows";
    case "connection-ended":
      return `the device came back meanwhile, as connection ${heldBy ?? "(unknown)"}`;
    default:
      return "every address of the range is held";
  }
}

/**
 * The end of the session the user signed in to, of the device's client config, or what the profile allows any
 * connection, whichever comes first. The lifetime of a WireGuard device was counted when it was issued.
 */
function expiryOf(decision: Allow, profile: ConnectionProfile, from: string, wireguard: boolean): string | null {
  const device = decision.deviceExpiresAt ?? null;
  if (wireguard || decision.authMethod === "autologin") return device;
  const { sessionExpiryMs } = profile;
  const after = (ms: number | null) => (ms === null ? null : new Date(Date.parse(from) + ms).toISOString());
  // A server that gives out no session tokens has no session that could end: the connection itself lasts so long.
  const own = decision.session === null ? after(lifetimeMs(decision.properties)) : decision.session.expiresAt;
  const ends = [own, after(sessionExpiryMs), device].filter((end) => end !== null);
  return ends.sort()[0] ?? null;
}

/** The property `prop_expire`, in seconds; 0 and what is no number set no limit. */
function lifetimeMs(properties: Properties): number | null {
  const seconds = Number(properties.prop_expire ?? 0);
  return seconds > 0 ? seconds * 1000 : null;
}

/** The property `prop_max_connections`; anything but a whole number from 1 sets no limit. */
function connectionLimit(properties: Properties): number | null {
  const text = properties.prop_max_connections ?? "";
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : null;
}
