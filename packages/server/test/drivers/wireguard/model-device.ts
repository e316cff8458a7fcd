import { SallyportError } from "../../../src/core/errors.ts";
import type { Device, DeviceChange, DeviceState, PeerState } from "../../../src/drivers/wireguard/device.ts";
import { checkChange } from "../../../src/drivers/wireguard/device.ts";

/**
 * An interface in memory that does with peers what wireguard-go does: an allowed IP belongs to whoever got it last, a
 * removal zeroes counters, a put or clear of a peer that is there keeps them.
 */
export type ModelDevice = Device & {
  peers: Map<string, PeerState>;
  writes: DeviceChange[];
  /** What happened, in order: `read`, `write`. */
  order: string[];
  /** Thrown by the next write, after so many of its peers. */
  failNext: number | undefined;
  /** Traffic of a peer; only one with allowed IPs passes any. */
  pass(publicKey: string, bytes: number): void;
};

export function createModelDevice(order: string[] = []): ModelDevice {
  const peers = new Map<string, PeerState>();
  const take = (range: string) => {
    for (const peer of peers.values()) peer.allowedIps = peer.allowedIps.filter((one) => one !== range);
  };
  const model: ModelDevice = {
    peers,
    writes: [],
    order,
    failNext: undefined,
    read: async (): Promise<DeviceState> => {
      order.push("read");
      await new Promise(setImmediate);
      return { privateKey: null, listenPort: 1, peers: new Map(structuredCloneOf(peers)) };
    },
    write: async (change) => {
      await checkChange(change);
      await new Promise(setImmediate);
      order.push("write");
      model.writes.push(change);
      const fail = model.failNext;
      model.failNext = undefined;
      for (const [index, peer] of (change.peers ?? []).entries()) {
        if (index === fail) throw new SallyportError("driver-failed", "as the test wants it");
        const there = peers.get(peer.publicKey);
        if (peer.kind === "remove") peers.delete(peer.publicKey);
        else if (peer.kind === "clear") {
          if (there !== undefined) there.allowedIps = [];
        } else {
          const { publicKey, presharedKey, allowedIps } = peer;
          for (const range of allowedIps) take(range);
          const fresh = { endpoint: null, lastHandshakeMs: null, bytesIn: 0, bytesOut: 0 };
          peers.set(publicKey, { ...fresh, ...there, publicKey, presharedKey, allowedIps: [...allowedIps] });
        }
      }
    },
    pass: (publicKey, bytes) => {
      const there = peers.get(publicKey);
      if (there === undefined || there.allowedIps.length === 0) return;
      there.bytesIn += bytes;
      there.bytesOut += 2 * bytes;
    },
  };
  return model;
}

function structuredCloneOf(peers: Map<string, PeerState>): [string, PeerState][] {
  return [...peers].map(([key, peer]) => [key, { ...peer, allowedIps: [...peer.allowedIps] }]);
}
