import type { Devices } from "../../client-configs/devices.ts";
import type { Config } from "../../config/config.ts";
import type { Connections } from "../../connections/connections.ts";
import type { EndReason } from "../../core/connection.ts";
import type { Log } from "../../core/log.ts";
import type { WireGuardDriver } from "../../drivers/wireguard/wireguard-driver.ts";
import type { ClientConfigEnd, Store } from "../../store/store.ts";
import { wireGuardProfile, wireGuardProfiles } from "./driver.ts";

type End = { reason: EndReason; detail: string | null };
type Which = { userId?: string; connectionId?: string };

/** What keeps WireGuard devices as they should be: at the start, over time, and when their connections are ended. */
export type DeviceUpkeep = {
  /** Before the driver starts: what an earlier process left half done ends. */
  begin(): Promise<void>;
  /** An interface was attached: whoever belongs there and is not in is asked about again. */
  attached(profileId: string): void;
  /** One round: readmissions, files never used, addresses of what does not work any more. */
  round(): Promise<void>;
  /** As `Connections.kill`. One that an administrator ends stays out, unless it may return: then it is asked about anew. */
  kill(id: string, end: End, mayReturn?: boolean): Promise<boolean>;
  killAll(which: Which, end: End): Promise<number>;
};

/** How a connection ends whose client config was taken back by a process that died before it could end it. */
const endedBy: Record<ClientConfigEnd, End> = {
  revoked: { reason: "disabled", detail: "the client config was revoked" },
  deleted: { reason: "disabled", detail: "the account was deleted" },
  replaced: { reason: "replaced", detail: "its key was given a new client config" },
  unused: { reason: "expired", detail: "its client config was not used" },
  rejected: { reason: "rejected", detail: "Sallyport stopped before its client config was handed out" },
};

const unusedEveryMs = 60 * 60_000;

export function createDeviceUpkeep(options: {
  devices: Devices;
  connections: Connections;
  driver: WireGuardDriver;
  store: Pick<Store, "ledger" | "devices" | "clientConfigs">;
  live: () => Config;
  log: Log;
}): DeviceUpkeep {
  const { devices, connections, driver, store, live, log } = options;
  const toReadmit = new Set<string>();
  let unusedAt = 0;

  const isUp = (profileId: string) =>
    driver.interfaces().some((one) => one.profileId === profileId && one.state === "up");

  async function readmit(): Promise<void> {
    for (const profileId of [...toReadmit].filter(isUp)) {
      toReadmit.delete(profileId);
      await devices.readmitAll({ profileId });
    }
  }

  async function keepOut(clientConfigId: string): Promise<void> {
    await store.devices.setAway(clientConfigId, new Date().toISOString());
  }

  return {
    async begin() {
      await devices.forgetUnfinished();
      const rows = await store.ledger.unfinished({ nodeNumber: live().node.number });
      for (const row of rows.filter(({ protocol }) => protocol === "wireguard")) {
        const profile = wireGuardProfile(live(), row.profileId);
        const config = await store.clientConfigs.get(row.clientConfigId ?? "");
        if (profile?.tunnel.interface !== row.listener) {
          const detail = "its interface is not in the configuration any more";
          await connections.lost(row, { reason: "node-lost", detail });
        } else if (config === undefined || config.revokedAt !== null) {
          await connections.lost(row, endedBy[config?.endReason ?? "rejected"]);
        }
      }
    },

    attached: (profileId) => void toReadmit.add(profileId),

    async round() {
      await readmit();
      await devices.release();
      if (Date.now() < unusedAt) return;
      unusedAt = Date.now() + unusedEveryMs;
      for (const { id, devices: terms } of wireGuardProfiles(live().profiles)) {
        if (terms?.unusedMs) await devices.endUnused(id, terms.unusedMs);
      }
    },

    async kill(id, end, mayReturn = false) {
      const row = await store.ledger.get(id);
      const clientConfigId = row?.clientConfigId;
      if (row === undefined || clientConfigId === undefined || end.reason !== "admin") {
        return await connections.kill(id, end, mayReturn);
      }
      if (!mayReturn) await keepOut(clientConfigId);
      const ended = await connections.kill(id, end, mayReturn);
      // One that connects by handshakes has its peer until now; what is to be there is known from its client config.
      await driver.synchronise(row.profileId).catch((error: unknown) => {
        log.warn({ profileId: row.profileId, error }, "a peer may stay on the interface until it is attached again");
      });
      if (mayReturn) await devices.readmitAll({ profileId: row.profileId, userId: row.userId });
      return ended;
    },

    async killAll(which, end) {
      const open = await store.ledger.unfinished({ nodeNumber: live().node.number });
      const chosen = open.filter(
        (row) =>
          row.clientConfigId !== undefined &&
          row.state !== "ended" &&
          (which.userId === undefined || row.userId === which.userId) &&
          (which.connectionId === undefined || row.connectionId === which.connectionId),
      );
      if (end.reason === "admin") for (const row of chosen) await keepOut(row.clientConfigId ?? "");
      const ended = await connections.killAll(which, end);
      for (const profileId of new Set(chosen.map((row) => row.profileId))) {
        await driver.synchronise(profileId).catch((error: unknown) => {
          log.warn({ profileId, error }, "peers may stay on the interface until it is attached again");
        });
      }
      await devices.release();
      return ended;
    },
  };
}
