import { existsSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

/** Waits for a condition, and says which when it does not come. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = 40_000,
): Promise<void> {
  for (const end = performance.now() + deadlineMs; performance.now() < end; await wait(10)) {
    if (await condition()) return;
  }
  throw new Error(`waited ${deadlineMs} ms in vain until ${what}`);
}

export function existsNow(path: string): boolean {
  return existsSync(path);
}

/** A zombie, which only waits for its parent to look, does not run. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
