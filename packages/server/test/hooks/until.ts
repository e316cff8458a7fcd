import { setTimeout as wait } from "node:timers/promises";

/** Waits for a condition, and says which when it does not come. */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 20_000,
): Promise<T> {
  for (const end = performance.now() + deadlineMs; performance.now() < end; await wait(5)) {
    const found = await condition();
    if (found) return found;
  }
  throw new Error(`waited ${deadlineMs} ms in vain until ${what}`);
}
