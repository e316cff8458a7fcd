import type { Connection } from "../core/connection.ts";
import type { Log } from "../core/log.ts";
import type { LiveTunnel } from "../core/vpn-event.ts";
import type { Driver } from "../drivers/driver.ts";
import type { Ledger } from "../store/store.ts";
import type { Connections } from "./connections.ts";
import type { Passage } from "./passage.ts";

/**
 * Holds the ledger against what a VPN daemon really has, after each attach. A tunnel is recognised by the address it
 * was given and its certificate: addresses are given out by the ledger alone, so no other tunnel can have it. Rows
 * without a tunnel end; tunnels without a row are ended: nobody stays in whom the ledger does not know.
 */
export async function reconcile(options: {
  listener: { profileId: string; listener: string; sameDaemon: boolean };
  tunnels: readonly LiveTunnel[];
  nodeNumber: number;
  ledger: Pick<Ledger, "unfinished">;
  connections: Pick<Connections, "adopt" | "lost">;
  passage: Pick<Passage, "restore">;
  driver: Pick<Driver, "disconnect">;
  log: Log;
}): Promise<void> {
  const { listener, tunnels, nodeNumber, connections, log } = options;
  const where = { profileId: listener.profileId, listener: listener.listener };
  const rows = await options.ledger.unfinished({ nodeNumber, ...where });
  const known = byAddress(rows);
  const rowOf = new Map<LiveTunnel, Connection>();
  for (const tunnel of tunnels) {
    const row = known.get(tunnel.ipv4 ?? tunnel.ipv6 ?? "")?.find((one) => isTheSame(one, tunnel));
    if (row !== undefined) rowOf.set(tunnel, row);
  }
  const alive = new Set(rowOf.values());
  const [found, missing] = [[...rowOf], rows.filter((row) => !alive.has(row))];
  await sideBySide(found, ([live, row]) => connections.adopt(row, live.tunnel, live));
  await sideBySide(missing, (row) =>
    connections.lost(row, {
      reason: row.state === "reserved" ? "rejected" : listener.sameDaemon ? "client" : "node-lost",
      detail:
        row.state === "reserved"
          ? "Sallyport stopped while it was being admitted"
          : "it was gone when Sallyport looked",
    }),
  );
  for (const { tunnel, commonName } of tunnels.filter((one) => !rowOf.has(one))) {
    log.warn({ ...tunnel, commonName }, "a tunnel that the ledger does not know was ended");
    await options.driver.disconnect(tunnel, { mayReturn: true, clientReason: null });
  }
  await options.passage.restore(where);
  log.info({ ...where, kept: found.length, ended: missing.length }, "held the ledger against the VPN daemon");
}

function isTheSame(row: Connection, live: LiveTunnel): boolean {
  const sameAddress =
    live.ipv4 !== undefined ? row.ipv4 === live.ipv4 : live.ipv6 !== undefined && row.ipv6 === live.ipv6;
  const sameDevice = live.commonName === undefined || row.connectionId === live.commonName;
  return sameAddress && row.state !== "reserved" && sameDevice;
}

/** Which rows hold an address; one that has ended may hold it still, beside none that has not. */
function byAddress(rows: readonly Connection[]): Map<string, Connection[]> {
  const known = new Map<string, Connection[]>();
  for (const row of rows) {
    for (const address of [row.ipv4, row.ipv6]) {
      if (address !== null) known.set(address, [...(known.get(address) ?? []), row]);
    }
  }
  return known;
}

/** Thousands at once would keep everything else waiting behind them; one by one they would wait for each other. */
const mostAtOnce = 200;

async function sideBySide<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += mostAtOnce) {
    await Promise.all(items.slice(start, start + mostAtOnce).map(work));
  }
}
