import { setTimeout as wait } from "node:timers/promises";
import type { Connection } from "../core/connection.ts";
import type { Log } from "../core/log.ts";

type Options = {
  name: string;
  everyMs: number;
  /** Those that are open now. */
  open: () => Promise<readonly Connection[]>;
  tell: (connection: Connection) => Promise<void>;
  log: Log;
};

const atOnce = 4;

/**
 * Tells of every open connection, round by round. What is not heard is not told again: the next round has newer counts.
 * So nothing piles up: rounds never overlap, a round is spread over half its interval, and the first connection that
 * nobody takes note of ends it.
 */
export function startInterim({ name, everyMs, open, tell, log }: Options): { stop(): void } {
  const stopped = new AbortController();
  let busy = false;
  const round = async () => {
    if (busy) return;
    busy = true;
    try {
      const connections = await open();
      const paceMs = everyMs / 2 / Math.max(1, Math.ceil(connections.length / atOnce));
      for (let start = 0; start < connections.length && !stopped.signal.aborted; start += atOnce) {
        const paced = wait(start === 0 ? 0 : Math.min(paceMs, 1_000), undefined, { signal: stopped.signal });
        await paced;
        await Promise.all(connections.slice(start, start + atOnce).map(tell));
      }
    } catch (error) {
      if (!stopped.signal.aborted)
        log.warn({ hook: name, error }, "open connections could not be told of; later again");
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(() => void round(), everyMs);
  timer.unref();
  return {
    stop: () => {
      clearInterval(timer);
      stopped.abort();
    },
  };
}
