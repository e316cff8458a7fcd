import type { Log } from "../core/log.ts";

const waitsMs = [250, 1_000, 5_000] as const;

/**
 * Writes down what has happened whether or not the database can take it now, such as a tunnel's end: tried again a few
 * times, and by reconciling at the latest. Rejects as the last try does.
 */
export async function persist<T>(log: Log, what: string, write: () => Promise<T>): Promise<T> {
  for (const waitMs of waitsMs) {
    try {
      return await write();
    } catch (error) {
      log.error({ error }, `the ledger could not record ${what}; trying again`);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
  return await write();
}
