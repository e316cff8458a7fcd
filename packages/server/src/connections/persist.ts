import type { Log } from "../core/log.ts";

/** `answer`: somebody waits for it. `end`: a tunnel is gone, and nobody will say so again while its server runs. */
const waitsMs = {
  answer: [250, 1_000, 5_000],
  end: [250, 1_000, 5_000, ...Array<number>(720).fill(15_000)],
} as const;

/**
 * Writes down what has happened whether or not the database can take it now: tried again a few times, or for hours
 * where nothing else would mend it before the next start. Rejects as the last try does.
 */
export async function persist<T>(
  log: Log,
  what: string,
  write: () => Promise<T>,
  patience: keyof typeof waitsMs = "answer",
): Promise<T> {
  for (const waitMs of waitsMs[patience]) {
    try {
      return await write();
    } catch (error) {
      log.error({ error }, `the ledger could not record ${what}; trying again`);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
  return await write();
}
