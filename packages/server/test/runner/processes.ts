import { readFileSync } from "node:fs";

/** A zombie, which only waits for its parent to look, does not run. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
