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
/** So often in an interval is looked who is due: by so much of it something is told late. */
const looksInInterval = 20;

/**
 * Tells of each open connection once in an interval, counted from when it was let in. What is not heard is not told again:
 * the next time has newer counts. So nothing piles up: looks never overlap, who is due at the same time is told of one
 * after the other until the next look, and the first connection that nobody takes note of ends it.
 */
export function startInterim({ name, everyMs, open, tell, log }: Options): { stop(): void } {
  const stopped = new AbortController();
  const betweenLooksMs = everyMs / looksInInterval;
  let lookedAt = Date.now();
  let busy = false;
  const look = async () => {
    if (busy) return;
    busy = true;
    const [since, now] = [lookedAt, Date.now()];
    lookedAt = now;
    try {
      const due = (await open()).filter((connection) => isDue(connection, { everyMs, since, now }));
      const paceMs = Math.min(1_000, betweenLooksMs / Math.ceil(due.length / atOnce));
      for (let start = 0; start < due.length && !stopped.signal.aborted; start += atOnce) {
        if (start > 0) await wait(paceMs, undefined, { signal: stopped.signal });
        await Promise.all(due.slice(start, start + atOnce).map(tell));
      }
    } catch (error) {
      if (!stopped.signal.aborted)
        log.warn({ hook: name, error }, "open connections could not be told of; later again");
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(() => void look(), betweenLooksMs);
  timer.unref();
  return {
    stop: () => {
      clearInterval(timer);
      stopped.abort();
    },
  };
}

/** Whether one of its intervals ended since it was looked last; also where the clock was set back to before its start. */
function isDue({ admittedAt, reservedAt }: Connection, at: { everyMs: number; since: number; now: number }): boolean {
  const startedAt = Date.parse(admittedAt ?? reservedAt);
  const intervalAt = (time: number) => Math.floor((time - startedAt) / at.everyMs);
  const present = intervalAt(at.now);
  return present !== 0 && present > intervalAt(at.since);
}
