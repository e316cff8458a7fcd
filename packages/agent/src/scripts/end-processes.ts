import { spawn } from "node:child_process";
import { constants } from "node:os";
import { descendantsOf } from "../machine/processes.ts";
import { killProcessesOf } from "./script-directory.ts";

/**
 * The program that ends a process and whatever it started, where signals reach no group: Windows. `systemRoot` is the
 * machine's, so that PATH says nothing about it.
 */
export function treeEnd(pid: number, systemRoot: string): { program: string; args: readonly string[] } {
  return { program: `${systemRoot}\\System32\\taskkill.exe`, args: ["/PID", `${pid}`, "/T", "/F"] };
}

/**
 * Kills a script and whatever it started: its group, its descendants in sessions of their own, and those that have the
 * name of its directory in their environment, wherever they went. It was not waited for yet: the number is its own.
 */
export async function endScript(pid: number, directory: string): Promise<void> {
  if (process.platform === "win32") {
    const { program, args } = treeEnd(pid, process.env.SystemRoot ?? "C:\\Windows");
    spawn(program, args, { stdio: "ignore", windowsHide: true }).on("error", () => undefined);
    return;
  }
  // Before any is killed: whoever loses its parent is nobody's descendant.
  const descendants = await descendantsOf(pid);
  killGroup(pid);
  for (const one of descendants) kill(one);
  await killProcessesOf(directory);
}

/** All that can be done while the process exits: no waiting, no asking. Unix only. */
export function killGroup(pid: number): void {
  if (process.platform !== "win32") kill(-pid);
}

function kill(target: number): void {
  try {
    process.kill(target, constants.signals.SIGKILL);
  } catch {
    // It ended meanwhile.
  }
}
