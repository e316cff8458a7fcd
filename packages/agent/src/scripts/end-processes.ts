import { constants } from "node:os";
import { descendantsOf } from "../machine/processes.ts";
import { killProcessesOf } from "./script-directory.ts";

/**
 * Kills a script and whatever it started: its group, its descendants in sessions of their own, and those that have the
 * name of its directory in their environment, wherever they went. It was not waited for yet: the number is its own. Unix
 * only: on Windows a job does it (windows/job.ts).
 */
export async function endScript(pid: number, directory: string): Promise<void> {
  // Before any is killed: whoever loses its parent is nobody's descendant.
  const descendants = await descendantsOf(pid);
  killGroup(pid);
  for (const one of descendants) kill(one);
  await killProcessesOf(directory);
}

/** All that can be done while the process exits: no waiting, no asking. */
export function killGroup(pid: number): void {
  kill(-pid);
}

function kill(target: number): void {
  try {
    process.kill(target, constants.signals.SIGKILL);
  } catch {
    // It ended meanwhile.
  }
}
