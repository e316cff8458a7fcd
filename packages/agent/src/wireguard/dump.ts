import type { WireGuardTraffic } from "./device.ts";

/** Of what `wg show NAME dump` prints (wg(8)): a line of the interface, then one of each peer. */
export function trafficIn(dump: string): WireGuardTraffic {
  const peers = dump.trim().split(/\r?\n/).slice(1);
  const fields = peers.map((line) => line.split("\t").map(Number));
  const latest = Math.max(0, ...fields.map((one) => one[4] ?? 0));
  const receivedBytes = fields.reduce((sum, one) => sum + (one[5] ?? 0), 0);
  return { lastHandshake: latest === 0 ? null : latest * 1_000, receivedBytes };
}
