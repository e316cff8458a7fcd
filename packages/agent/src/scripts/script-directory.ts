import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { makePrivateDirectory } from "../machine/private-directory.ts";

/** A directory for one script that runs, entered by its account alone; gone when it is disposed of. */
export type ScriptDirectory = AsyncDisposable & {
  path: string;
  /** The script's TMPDIR. */
  temporary: string;
  /** For programs of its own at the end of its PATH. */
  programs: string;
};

export async function makeScriptDirectory(base: string): Promise<ScriptDirectory> {
  await makePrivateDirectory(base);
  const owner = await startTimeOf(process.pid);
  // Its maker's identity is a part of the name from the first moment on: there is no time in which a sweep could err.
  const path = await mkdtemp(join(base, `${process.pid}-${owner ?? 0}-`));
  const [temporary, programs] = [temporaryOf(path), join(path, "bin")];
  await mkdir(temporary, { mode: 0o700 });
  await mkdir(programs, { mode: 0o700 });
  return {
    path,
    temporary,
    programs,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  };
}

/**
 * Takes away what agents left that were killed: their scripts, if these still run, and the files. What belongs to an
 * agent that lives is left alone.
 */
export async function sweepScriptDirectories(base: string): Promise<number> {
  let swept = 0;
  for (const name of await readdir(base).catch(() => [])) {
    const [, pid, startTime] = /^(\d+)-(\d+)-/.exec(name) ?? [];
    if (pid !== undefined && (await isAlive(pid, startTime))) continue;
    await killProcessesOf(join(base, name));
    await rm(join(base, name), { recursive: true, force: true, maxRetries: 3 });
    swept += 1;
  }
  return swept;
}

/** Kills whatever a script started, in whatever session: all of it has the directory's name in its environment. */
export async function killProcessesOf(path: string): Promise<void> {
  const mark = `TMPDIR=${temporaryOf(path)}`;
  for (const entry of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(entry)) continue;
    const environment = await readFile(`/proc/${entry}/environ`, "utf8").catch(() => "");
    if (!environment.split("\0").includes(mark)) continue;
    try {
      process.kill(Number(entry), "SIGKILL");
    } catch {
      // It ended meanwhile.
    }
  }
}

/** Processes that one started, and those that these started, as far as their parents still live; none without proc(5). */
export async function descendantsOf(pid: number): Promise<number[]> {
  const entries = (await readdir("/proc").catch(() => [])).filter((entry) => /^\d+$/.test(entry)).map(Number);
  const parents = await Promise.all(entries.map(async (one) => [one, Number((await statFields(one))?.[1])] as const));
  const found = [pid];
  for (const parent of found) found.push(...parents.filter(([, of]) => of === parent).map(([one]) => one));
  return found.slice(1);
}

function temporaryOf(path: string): string {
  return join(path, "tmp");
}

/** Whether the process still is the one that wrote this down of itself: `startTimeOf`, or 0 where there is no proc(5). */
export async function isAlive(pid: string | undefined, startTime: string | undefined): Promise<boolean> {
  if (startTime !== "0") return startTime !== undefined && (await startTimeOf(Number(pid))) === startTime;
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
}

/** Clock ticks since boot: with it a process id means one process. Undefined where there is none, or no proc(5). */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  return (await statFields(pid))?.[19];
}

/** Of /proc/PID/stat, what follows the name: state, parent, group, session, … */
async function statFields(pid: number): Promise<string[] | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return text === "" || fields[0] === "Z" || fields[0] === "X" ? undefined : fields;
}
