import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { processStartTime } from "../windows/process-times.ts";

/*
 * What the system knows of its processes: proc(5) on Linux, ps(1) on macOS. On Windows it tells when one began, and none is
 * looked for: jobs end what is to be ended.
 */

const onMac = process.platform === "darwin";
const onWindows = process.platform === "win32";
const psDeadlineMs = 10_000;
const mostPsBytes = 64 * 1024 * 1024;

/** Whether the process still is the one that wrote this down of itself: `startTimeOf`, or 0 where that is not known. */
export async function isAlive(pid: string | undefined, startTime: string | undefined): Promise<boolean> {
  if (startTime !== "0") return startTime !== undefined && (await startTimeOf(Number(pid))) === startTime;
  try {
    return process.kill(Number(pid), 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * A number with which a process id means one process: clock ticks since boot, on macOS seconds since the epoch, on
 * Windows 100 ns since 1601.
 * Undefined where there is no such process, or the system does not tell.
 */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  if (onWindows) return await processStartTime(pid);
  return onMac ? await startTimeByPs(pid) : (await statFields(pid))?.[19];
}

/** Processes that one started, and those that these started, as far as their parents still live. */
export async function descendantsOf(pid: number): Promise<number[]> {
  const parents = onMac ? await parentsByPs() : await parentsByProc();
  const found = [pid];
  for (const parent of found) found.push(...parents.filter(([, of]) => of === parent).map(([one]) => one));
  return found.slice(1);
}

/**
 * Processes that have a variable with this value in their environment, whatever session they went to. macOS shows the
 * environment of nothing that the system itself brought (`/bin/sleep`): those it does not find.
 */
export async function processesWithVariable(variable: string): Promise<number[]> {
  if (onMac) return pidsWith(await ps(["-A", "-E", "-ww", "-o", "pid=", "-o", "command="]), variable);
  const found: number[] = [];
  for (const pid of await pidsOfProc()) {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (environment.split("\0").includes(variable)) found.push(pid);
  }
  return found;
}

/** Processes that were started with this word on their command line. */
export async function processesWithArgument(word: string): Promise<number[]> {
  if (onMac) return pidsWith(await ps(["-A", "-ww", "-o", "pid=", "-o", "command="]), word);
  const found: number[] = [];
  for (const pid of await pidsOfProc()) {
    const words = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (words.split("\0").includes(word)) found.push(pid);
  }
  return found;
}

/** As ps(1) tells it: for macOS, and the same on Linux. */
export async function startTimeByPs(pid: number): Promise<string | undefined> {
  const [, state, started] =
    /^\s*(\S+)\s+(.*?)\s*$/.exec(await ps(["-o", "stat=", "-o", "lstart=", "-p", `${pid}`])) ?? [];
  const at = Date.parse(`${started} UTC`);
  return state === undefined || /^[ZX]/.test(state) || Number.isNaN(at) ? undefined : `${at / 1_000}`;
}

/** Each process with its parent, as ps(1) tells it: for macOS, and the same on Linux. */
export async function parentsByPs(): Promise<(readonly [number, number])[]> {
  const lines = (await ps(["-A", "-o", "pid=", "-o", "ppid="])).trim().split("\n");
  return lines.map((line) => {
    const [pid, parent] = line.trim().split(/\s+/).map(Number);
    return [pid ?? 0, parent ?? 0] as const;
  });
}

/** Of lines `PID WORDS…`, the ids of those in which it stands as a word. */
export function pidsWith(lines: string, word: string): number[] {
  return lines.split("\n").flatMap((line) => {
    const [, pid, words = ""] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid !== undefined && ` ${words} `.includes(` ${word} `) ? [Number(pid)] : [];
  });
}

/** Empty where it fails. Times are UTC, in the words of no language. */
function ps(args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const env = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
    execFile("/bin/ps", [...args], { env, timeout: psDeadlineMs, maxBuffer: mostPsBytes }, (error, stdout) =>
      resolve(error === null ? stdout : ""),
    );
  });
}

async function pidsOfProc(): Promise<number[]> {
  if (onWindows) return [];
  return (await readdir("/proc").catch(() => [])).filter((entry) => /^\d+$/.test(entry)).map(Number);
}

async function parentsByProc(): Promise<(readonly [number, number])[]> {
  const pids = await pidsOfProc();
  return await Promise.all(pids.map(async (one) => [one, Number((await statFields(one))?.[1])] as const));
}

/** Of /proc/PID/stat, what follows the name: state, parent, group, session, … */
async function statFields(pid: number): Promise<string[] | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return text === "" || fields[0] === "Z" || fields[0] === "X" ? undefined : fields;
}
