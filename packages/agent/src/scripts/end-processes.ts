import { spawn } from "node:child_process";
import { constants } from "node:os";

/**
 * The program that ends a process and whatever it started, where signals reach no group: Windows. `systemRoot` is the
 * machine's, so that PATH says nothing about it.
 */
export function treeEnd(pid: number, systemRoot: string): { program: string; args: readonly string[] } {
  return { program: `${systemRoot}\\System32\\taskkill.exe`, args: ["/PID", `${pid}`, "/T", "/F"] };
}

/** Kills a script and what it started and left in its group. It leads that, and was not waited for: the number is its own. */
export function endScript(pid: number): void {
  if (process.platform === "win32") {
    const { program, args } = treeEnd(pid, process.env.SystemRoot ?? "C:\\Windows");
    spawn(program, args, { stdio: "ignore", windowsHide: true }).on("error", () => undefined);
    return;
  }
  try {
    process.kill(-pid, constants.signals.SIGKILL);
  } catch {
    // It ended meanwhile.
  }
}
