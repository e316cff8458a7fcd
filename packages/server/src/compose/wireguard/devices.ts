import type { Pipeline } from "../../auth/pipeline.ts";
import { type DeviceAnswer, type DeviceAsks, hostOf } from "../../client-configs/device-options.ts";
import { Devices } from "../../client-configs/devices.ts";
import type { Config } from "../../config/config.ts";
import { addressWishes } from "../../connections/addresses.ts";
import type { Connections } from "../../connections/connections.ts";
import type { Passage } from "../../connections/passage.ts";
import { refusalText } from "../../connections/reservation.ts";
import { parseAddress } from "../../core/address-range.ts";
import { withAttemptCode } from "../../core/attempt-code.ts";
import { clientReasonOf, type ErrorCode, SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { AccessRequest } from "../../core/vpn-event.ts";
import type { WireGuardDriver, WireGuardDriverOptions } from "../../drivers/wireguard/wireguard-driver.ts";
import type { Store } from "../../store/store.ts";
import { groupSubnets } from "../network.ts";
import { wireGuardProfile } from "./driver.ts";

export type DeviceParts = {
  live: () => Config;
  store: Store;
  driver: WireGuardDriver;
  pipeline: Pipeline;
  connections: Connections;
  passage: Passage;
  log: Log;
};

/** Client configs of WireGuard, with everything around them. */
export function composeDevices(parts: DeviceParts): Devices {
  const { live, store, driver, connections, log } = parts;
  return new Devices({
    devices: store.devices,
    clientConfigs: store.clientConfigs,
    ledger: store.ledger,
    profile: (id) => {
      const profile = wireGuardProfile(live(), id);
      if (profile === undefined) return undefined;
      const { displayName, sessionExpiryMs, tunnel, devices } = profile;
      const presharedKeys = devices?.presharedKeys === true;
      return { id, displayName, sessionExpiryMs, trigger: tunnel.trigger, presharedKeys };
    },
    server: (profileId) => serverOf(parts, profileId),
    connect: (asks) => connect(parts, asks),
    prepare: (asks) => prepare(parts, asks),
    kill: ({ id }, end) => connections.kill(id, end),
    synchronise: (profileId) => driver.synchronise(profileId),
    log,
  });
}

/** What the driver hears of handshakes. */
export function handshakesFor(
  { store, log }: DeviceParts,
  devices: Devices,
): Pick<WireGuardDriverOptions, "shookHands" | "observed"> {
  return {
    shookHands: ({ tunnel: { profileId, key }, endpoint }) => {
      const clientAddress = parseAddress(hostOf(endpoint) ?? "") ?? "0.0.0.0";
      devices
        .shookHands({ profileId, publicKey: key, clientAddress })
        .catch((error: unknown) =>
          log.error({ profileId, connection: key, error }, "a handshake could not be followed"),
        );
    },
    observed: (seen) => {
      const sightings = seen.map(({ tunnel, endpoint, lastHandshakeAt }) => {
        return { profileId: tunnel.profileId, publicKey: tunnel.key, at: lastHandshakeAt, endpoint };
      });
      store.devices.seen(sightings).catch((error: unknown) => log.warn({ error }, "handshakes could not be noted"));
    },
  };
}

function serverOf({ live, driver }: DeviceParts, profileId: string): { publicKey: string; host: string; port: number } {
  const profile = wireGuardProfile(live(), profileId);
  const status = driver.interfaces().find((one) => one.profileId === profileId);
  if (profile === undefined || status?.publicKey === undefined || status.listenPort === undefined) {
    const why = status?.failure ?? "it is not there";
    throw new SallyportError("driver-failed", `the WireGuard interface of ${profileId} is not up: ${why}`);
  }
  const { host, port } = profile.devices?.endpoint ?? { host: live().node.hostName, port: status.listenPort };
  return { publicKey: status.publicKey, host, port };
}

async function connect({ live, store, driver }: DeviceParts, asks: DeviceAsks): Promise<DeviceAnswer> {
  const { kind: _kind, protocol: _protocol, ...request } = requestOf(live(), asks);
  const { publicKey } = asks.device;
  const answer = await driver.request({ ...request, peer: { publicKey, presharedKey: asks.presharedKey } });
  if (answer.outcome === "refused") {
    const { code = "internal", reason, attemptId } = answer.refusal;
    return { allowed: false, code, reason, ...(attemptId !== undefined && { attemptId }) };
  }
  if (answer.outcome === "challenged") return cannotBeAsked;
  const { kind: _connect, ...told } = answer.admission;
  const connection = await store.ledger.ofClientConfig(asks.device.clientConfigId);
  return { allowed: true, told, expiresAt: connection?.expiresAt ?? null };
}

/** The pipeline alone, and addresses; the rest comes with the first handshake. */
async function prepare(parts: DeviceParts, asks: DeviceAsks): Promise<DeviceAnswer> {
  const { profileId, device } = asks;
  const decision = await parts.pipeline.decide({ ...requestOf(parts.live(), asks), profileId });
  if (decision.outcome === "challenge") return cannotBeAsked;
  const { attemptId } = decision;
  if (decision.outcome === "deny") return { allowed: false, code: decision.code, reason: decision.reason, attemptId };
  const profile = wireGuardProfile(parts.live(), profileId);
  if (profile === undefined) return { allowed: false, code: "internal", reason: `there is no profile ${profileId}` };
  const allSubnets = await groupSubnets(parts.store.accounts);
  const wishes = addressWishes({ ...decision, profile, groupSubnets: allSubnets });
  const held = await parts.store.ledger.hold(device.clientConfigId, wishes);
  if ("refused" in held) {
    const { refused: code } = held;
    const reason = refusalText(held);
    await noteRefusal(parts.store, attemptId, code, reason);
    return { allowed: false, code, reason, attemptId };
  }
  const { properties, group } = decision;
  const told = parts.passage.admission({ profileId, ...held, properties, group });
  return { allowed: true, told, expiresAt: decision.deviceExpiresAt ?? null };
}

async function noteRefusal({ attempts }: Store, attemptId: string, code: ErrorCode, reason: string): Promise<void> {
  const clientReason = withAttemptCode(clientReasonOf(code), attemptId);
  await attempts.refusedAfterwards(attemptId, { code, reason, clientReason });
}

const cannotBeAsked: DeviceAnswer = {
  allowed: false,
  code: "challenge-unsupported",
  reason: "a question was put, and a WireGuard device cannot be asked",
};

function requestOf(config: Config, { profileId, device, clientAddress }: DeviceAsks): AccessRequest {
  const listener = wireGuardProfile(config, profileId)?.tunnel.interface ?? "";
  return {
    kind: "connect",
    tunnel: { profileId, listener, key: device.publicKey },
    protocol: "wireguard",
    username: undefined,
    password: undefined,
    certificate: undefined,
    clientAddress,
    clientPort: undefined,
    hardwareAddress: undefined,
    clientInfo: {},
    certificateFields: {},
    device,
  };
}
