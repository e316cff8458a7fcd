import { expect, it } from "vitest";
import { reservationOf } from "../../src/connections/reservation.ts";
import type { Allow } from "../../src/core/decision.ts";
import type { AccessRequest } from "../../src/core/vpn-event.ts";

const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

function reserved(given: { decision?: Partial<Allow>; request?: Partial<AccessRequest>; sessionHours?: number }) {
  const decision: Allow = {
    ...{ outcome: "allow", attemptId: "attempt", userId: "alice", authMethod: "local", reason: "", properties: {} },
    ...{ group: null, save: {}, session: null, ...given.decision },
  };
  const request: AccessRequest = {
    ...{ kind: "connect", protocol: "openvpn", username: "alice", password: undefined, clientAddress: "192.0.2.7" },
    tunnel: { profileId: "office", listener: "udp/1194", key: "1" },
    certificate: { commonName: "laptop", serial: "1" },
    ...{ clientPort: 5000, hardwareAddress: undefined, clientInfo: {}, certificateFields: {}, ...given.request },
  };
  const sessionExpiryMs = given.sessionHours === undefined ? null : given.sessionHours * 3_600_000;
  const profile = { id: "office", ranges: { ipv4: null, ipv6: null }, routes: [], dns: [], sessionExpiryMs };
  return reservationOf({ request, decision, profile, groupSubnets: [], nodeNumber: 0, subscribers: [] }).connection;
}

const device = { clientConfigId: "config", publicKey: "key", trigger: "config" } as const;

it("a connection ends with its device's client config, if nothing else ends it before", () => {
  const [soon, late] = [inHours(1), inHours(99)];
  expect(reserved({ decision: { deviceExpiresAt: soon }, sessionHours: 5 }).expiresAt).toBe(soon);
  expect(reserved({ decision: { deviceExpiresAt: soon, authMethod: "autologin" } }).expiresAt).toBe(soon);
  const bySession = reserved({ decision: { deviceExpiresAt: late }, sessionHours: 5 }).expiresAt ?? "";
  expect(bySession < late).toBe(true);
  expect(reserved({}).expiresAt).toBeNull();
});

it("a WireGuard device's time was counted when it was issued, and its client config holds the addresses", () => {
  const until = inHours(99);
  const decision = { deviceExpiresAt: until, properties: { prop_expire: "60" } };
  const connection = reserved({ decision, request: { device }, sessionHours: 1 });
  expect(connection).toMatchObject({
    expiresAt: until,
    connectionId: "key",
    clientConfigId: "config",
    trigger: "config",
    originatingIp: null,
  });
  const shaken = reserved({ decision, request: { device: { ...device, trigger: "handshake" } } });
  expect(shaken).toMatchObject({ trigger: "handshake", originatingIp: "192.0.2.7" });
});
