import type { Log } from "../core/log.ts";
import type { LiveTunnel } from "../core/vpn-event.ts";
import type { Ledger } from "../store/store.ts";
import type { Connections } from "./connections.ts";
import type { Passage } from "./passage.ts";
import { tunnelOf } from "./profile.ts";

/**
 * Holds the ledger against a WireGuard interface after each attach. Its peers say nothing of who is there, so the ledger
 * has the last word: a connection goes on whether or not its peer outlived us (the driver puts back the peers of those,
 * and takes away others of ours); what was still being asked ends.
 */
export async function reconcileWireGuard(options: {
  listener: { profileId: string; listener: string };
  tunnels: readonly LiveTunnel[];
  nodeNumber: number;
  ledger: Pick<Ledger, "unfinished">;
  connections: Pick<Connections, "adopt" | "lost">;
  passage: Pick<Passage, "restore">;
  log: Log;
}): Promise<void> {
  const { nodeNumber, connections, log } = options;
  const where = { profileId: options.listener.profileId, listener: options.listener.listener };
  const rows = await options.ledger.unfinished({ nodeNumber, ...where });
  const live = new Map(options.tunnels.map((one) => [one.tunnel.key, one]));
  let kept = 0;
  for (const row of rows) {
    if (row.state === "reserved" || row.state === "ended") {
      await connections.lost(row, { reason: "rejected", detail: "Sallyport stopped while it was being admitted" });
      continue;
    }
    await connections.adopt(row, tunnelOf(row), live.get(row.tunnelKey) ?? row);
    kept += 1;
  }
  await options.passage.restore(where);
  log.info({ ...where, kept, ended: rows.length - kept }, "held the ledger against the WireGuard interface");
}
