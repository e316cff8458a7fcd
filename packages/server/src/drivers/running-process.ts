import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

/** A process by its pid and the time it was started (clock ticks since boot): a pid alone may be another's by now. */
export type ProcessIdentity = { pid: number; startTime: string };

/** False as soon as it has ended, also while nobody has collected it yet. */
export async function isRunning({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  return (await startTimeOf(pid)) === startTime;
}

/** Undefined where no such process runs here. */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The second field is the name in parentheses, which may hold anything; proc(5) numbers the start time 22.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

/** Ends a process: SIGTERM, and SIGKILL when its time is over. Resolves when it is gone. */
export async function endProcess(server: ProcessIdentity, graceMs: number): Promise<void> {
  await signalProcess(server, "SIGTERM");
  if (await gone(server, graceMs)) return;
  await signalProcess(server, "SIGKILL");
  await gone(server, 5_000);
}

export async function signalProcess(server: ProcessIdentity, signal: NodeJS.Signals): Promise<void> {
  if (!(await isRunning(server))) return;
  try {
    process.kill(server.pid, signal);
  } catch {
    // It ended in between.
  }
}

async function gone(server: ProcessIdentity, withinMs: number): Promise<boolean> {
  const end = Date.now() + withinMs;
  while (await isRunning(server)) {
    if (Date.now() > end) return false;
    await pause(25);
  }
  return true;
}
