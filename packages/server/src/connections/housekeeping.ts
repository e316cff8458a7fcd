import type { Log } from "../core/log.ts";
import type { Store } from "../store/store.ts";
import type { Connections } from "./connections.ts";

const expireEveryMs = 5_000;
const devicesEveryMs = 5_000;
const withdrawEveryMs = 20_000;
const pruneEveryMs = 60 * 60_000;
const dayMs = 24 * 60 * 60_000;

/**
 * What time does by itself: connections past their time end, and what nobody needs any more is deleted. Each part may
 * run twice at once, here or on another node, and nothing is lost when it fails: the next round does it.
 */
export function startHousekeeping(options: {
  connections: Pick<Connections, "expire" | "endWithdrawn">;
  /** WireGuard's devices. */
  devices: { round(): Promise<void> };
  store: Pick<Store, "attempts" | "challenges" | "sessions" | "clientScripts" | "ledger" | "deliveries">;
  /** As the configuration says now. */
  keep: () => { attemptsDays: number; connectionsDays: number; deliveriesDays: number };
  log: Log;
}): { stop(): void } {
  const { connections, devices, store, log } = options;
  const every = (ms: number, what: string, work: () => Promise<unknown>) => {
    let busy = false;
    const round = async () => {
      if (busy) return;
      busy = true;
      await work().catch((error: unknown) => log.error({ error }, `housekeeping could not ${what}; it will try again`));
      busy = false;
    };
    void round();
    return setInterval(() => void round(), ms);
  };
  const timers = [
    every(expireEveryMs, "end expired connections", () => connections.expire()),
    every(devicesEveryMs, "look after WireGuard devices", () => devices.round()),
    every(withdrawEveryMs, "end connections that may not be any more", () => connections.endWithdrawn()),
    every(pruneEveryMs, "delete what is past its time", async () => {
      const now = new Date();
      await store.challenges.prune(now.toISOString());
      await store.sessions.prune(now.toISOString());
      const before = (days: number) => new Date(now.getTime() - days * dayMs).toISOString();
      const { attemptsDays, connectionsDays, deliveriesDays } = options.keep();
      await store.clientScripts.prune({ tickets: before(1), reports: before(attemptsDays) });
      await store.attempts.prune(before(attemptsDays));
      await store.deliveries.prune(before(deliveriesDays));
      await store.ledger.prune(before(connectionsDays));
    }),
  ];
  return { stop: () => timers.forEach(clearInterval) };
}
