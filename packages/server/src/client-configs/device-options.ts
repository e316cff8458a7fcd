import type { Connection, EndReason, Trigger } from "../core/connection.ts";
import { type ErrorCode, SallyportError } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import type { Log } from "../core/log.ts";
import type { Secret } from "../core/secret.ts";
import type { RequestingDevice } from "../core/vpn-event.ts";
import type { Admission } from "../drivers/driver.ts";
import type { ClientConfig, ClientConfigStore, DeviceStore, Ledger } from "../store/store.ts";

/** What devices need to know of a WireGuard profile. */
export type DeviceProfile = {
  id: string;
  displayName: string;
  trigger: Trigger;
  presharedKeys: boolean;
  /** Null: no limit but that of every client config. */
  sessionExpiryMs: number | null;
};

/** One device's way through the pipeline, as an administrator or a handshake began it. */
export type DeviceAsks = {
  profileId: string;
  device: RequestingDevice;
  presharedKey: Secret | null;
  /** Canonical. */
  clientAddress: string;
};

export type DeviceAnswer =
  | { allowed: true; told: Omit<Admission, "kind">; expiresAt: string | null }
  | { allowed: false; code: ErrorCode; reason: string; attemptId?: string };

export type DevicesOptions = {
  devices: DeviceStore;
  clientConfigs: Pick<ClientConfigStore, "get" | "revoke">;
  ledger: Pick<Ledger, "ofClientConfig" | "release">;
  profile: (id: string) => DeviceProfile | undefined;
  /** The interface that devices connect to. Errors: `driver-failed` where it is not up. */
  server: (profileId: string) => { publicKey: string; host: string; port: number };
  /** Pipeline, hooks, and last the peer. */
  connect: (asks: DeviceAsks) => Promise<DeviceAnswer>;
  /** Pipeline and addresses; hooks are asked when it shakes hands. */
  prepare: (asks: DeviceAsks) => Promise<DeviceAnswer>;
  /** Ends a connection, with its last counts. */
  kill: (connection: Connection, end: { reason: EndReason; detail: string }) => Promise<unknown>;
  /** Brings the interface to the peers that should be there. */
  synchronise: (profileId: string) => Promise<void>;
  log: Log;
  now?: () => Date;
};

/** What whoever asked is told. */
export function refused({ code, reason, attemptId }: Extract<DeviceAnswer, { allowed: false }>): SallyportError {
  const next = attemptId === undefined ? "" : `; \`sallyport explain ${attemptId}\` tells more`;
  return new SallyportError(code, `refused: ${reason}${next}`);
}

/** `192.0.2.7:51820` or `[2001:db8::7]:51820` without the port. */
export function hostOf(endpoint: string | undefined | null): string | undefined {
  return endpoint?.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}

const usuallyValidForMs = 10 * 365 * 86_400_000;

/** A device that is being asked for. */
export function newDevice(given: {
  userId: string;
  profile: DeviceProfile;
  publicKey: string;
  now: Date;
}): ClientConfig {
  const { userId, profile, publicKey, now } = given;
  const validForMs = Math.min(profile.sessionExpiryMs ?? usuallyValidForMs, usuallyValidForMs);
  return {
    id: newId(),
    userId,
    profileId: profile.id,
    kind: "auto-login",
    protocol: "wireguard",
    connectionId: publicKey,
    serial: null,
    createdAt: now.toISOString(),
    expiresAt: new Date(now.getTime() + validForMs).toISOString(),
    revokedAt: null,
  };
}
