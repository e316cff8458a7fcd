import type { Pipeline } from "../auth/pipeline.ts";
import type { Devices } from "../client-configs/devices.ts";
import type { Config } from "../config/config.ts";
import type { Connections } from "../connections/connections.ts";
import type { Passage } from "../connections/passage.ts";
import { reconcileWireGuard } from "../connections/reconcile-wireguard.ts";
import type { Log } from "../core/log.ts";
import type { DriverEvents } from "../drivers/driver.ts";
import type { WireGuardDriver } from "../drivers/wireguard/wireguard-driver.ts";
import type { Store } from "../store/store.ts";
import { composeDevices, handshakesFor } from "./wireguard/devices.ts";
import { composeWireGuardDriver, wireGuardProfile } from "./wireguard/driver.ts";
import { createDeviceUpkeep, type DeviceUpkeep } from "./wireguard/upkeep.ts";

export type WireGuardSide = {
  driver: WireGuardDriver;
  isWireGuard(profileId: string): boolean;
  /** Once the arrow is there, and before the driver starts. */
  complete(arrow: { pipeline: Pipeline; connections: Connections; passage: Passage }): WireGuardDevices;
};

export type WireGuardDevices = { devices: Devices; upkeep: DeviceUpkeep; reconcile: DriverEvents["attached"] };

/** Everything of WireGuard: the driver, and the devices that come in through it. */
export async function composeWireGuard(options: {
  config: Config;
  live: () => Config;
  store: Store;
  log: Log;
}): Promise<WireGuardSide> {
  const { config, live, store, log } = options;
  let handshakes: ReturnType<typeof handshakesFor> = { shookHands: () => {}, observed: () => {} };
  const driver = await composeWireGuardDriver({ config, live, store, handshakes: () => handshakes, log });
  return {
    driver,
    isWireGuard: (profileId) => wireGuardProfile(live(), profileId) !== undefined,
    complete(arrow) {
      const parts = { ...arrow, live, store, driver, log };
      const devices = composeDevices(parts);
      handshakes = handshakesFor(parts, devices);
      const { connections, passage } = arrow;
      const upkeep = createDeviceUpkeep({ devices, connections, driver, store, live, log });
      return {
        devices,
        upkeep,
        async reconcile(listener, tunnels) {
          const { ledger } = store;
          const nodeNumber = config.node.number;
          await reconcileWireGuard({ listener, tunnels, nodeNumber, ledger, connections, passage, log });
          upkeep.attached(listener.profileId);
        },
      };
    },
  };
}
