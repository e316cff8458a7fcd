import type { Network } from "../e2e/lab/network.ts";
import { startWireGuardClient, type WireGuardClient } from "../e2e/lab/wireguard-client.ts";
import { type Device, rest } from "./devices.ts";
import type { KeptDaemon } from "./kept-daemon.ts";

/** The server's own address in the range of whoever comes in by handshakes. */
const serverWithin = "10.44.0.1";

/**
 * Somebody who has client configs for WireGuard issued and revoked. Where being issued one is what lets them in, no device
 * is needed to use it; where handshakes do, there is one, in a namespace of its own.
 */
export function wireGuardDevice(options: {
  name: string;
  profileId: string;
  daemon: KeptDaemon;
  /** Where the device is made that shakes hands. */
  at?: { network: Network; directory: string };
}): Device {
  const { name, profileId, daemon, at } = options;
  let tunnel: WireGuardClient | undefined;
  let issuedTimes = 0;
  const issue = async () => {
    const { id, file } = await daemon.call<{ id: string; file: string }>("client-config-issue", {
      userId: name,
      profileId,
    });
    if (at === undefined) {
      issuedTimes += 1;
      return id;
    }
    if (tunnel === undefined) tunnel = await startWireGuardClient(at.network, at.directory, file);
    else await tunnel.use(file);
    // Shakes hands, whether or not it is let in then.
    await tunnel.ping(serverWithin);
    return id;
  };
  const revokeAll = async () => {
    const configs = await daemon.call<{ id: string; revokedAt: string | null }[]>("client-config-list", {
      userId: name,
      profileId,
    });
    for (const { id, revokedAt } of configs) if (revokedAt === null) await daemon.call("client-config-revoke", { id });
  };
  return {
    name,
    timesIn: () => issuedTimes,
    end: async () => void (await tunnel?.stop()),
    roam: async (random, stopping) => {
      while (!stopping.aborted) {
        const stayMs = random.between(0, 1_500);
        const leftAlone = random.chance(0.2);
        const restMs = random.between(50, 600);
        const id = await issue().catch(() => undefined);
        if (id !== undefined) await rest(stayMs, stopping);
        if (id !== undefined && !leftAlone) await daemon.call("client-config-revoke", { id }).catch(() => undefined);
        await rest(restMs, stopping);
      }
    },
    // What was issued while the daemon died may be nobody's: it is revoked too.
    visit: async () => {
      await issue().catch(() => undefined);
      await revokeAll();
    },
  };
}
