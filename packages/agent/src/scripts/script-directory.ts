import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
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
  for (const pid of await processesWithVariable(`TMPDIR=${temporaryOf(path)}`)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended meanwhile.
    }
  }
}

function temporaryOf(path: string): string {
  return join(path, "tmp");
}
