import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { makePrivateDirectory } from "../machine/private-directory.ts";
import { isAlive, processesWithVariable, startTimeOf } from "../machine/processes.ts";

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
    [Symbol.asyncDispose]: async () => void (await remove(path)),
  };
}

/**
 * Takes away what agents left that were killed: their scripts, if these still run, and the files. What belongs to an
 * agent that lives is left alone.
 */
export async function sweepScriptDirectories(base: string): Promise<number> {
  let swept = 0;
  for (const name of await readdir(base).catch(() => [])) {
    const [, pid, startTime] = /^(\d+)-(\d+)-\w{6}$/.exec(name) ?? [];
    // Whoever names a directory for the agent may have things of their own in it.
    if (pid === undefined || (await isAlive(pid, startTime))) continue;
    await killProcessesOf(join(base, name));
    if (await remove(join(base, name))) swept += 1;
  }
  return swept;
}

/** Kills whatever a script started, in whatever session: all of it has the directory's name in its environment. */
export async function killProcessesOf(path: string): Promise<void> {
  for (const pid of await processesWithVariable(`TMPDIR=${temporaryOf(path)}`)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended meanwhile.
    }
  }
}

/** False where it is still used: on Windows nobody can remove the working directory of what a script left running. */
async function remove(path: string): Promise<boolean> {
  // There, what was ended still has it for a moment.
  for (let retries = process.platform === "win32" ? 5 : 0; ; retries -= 1) {
    try {
      await rm(path, { recursive: true, force: true, maxRetries: process.platform === "win32" ? 0 : 3 });
      return true;
    } catch (error) {
      if (process.platform !== "win32") throw error;
      if (retries === 0) return false;
      await wait(50);
    }
  }
}

function temporaryOf(path: string): string {
  return join(path, "tmp");
}
