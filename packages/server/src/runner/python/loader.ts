import type { Log } from "../../core/log.ts";
import { loadIntoWorkers, makeWorkingDirectory } from "../load-into-workers.ts";
import type { LoadScript } from "../runner.ts";
import { startWorkerProcess } from "../worker-process.ts";
import { type HostSource, readHostSource } from "./host-source.ts";

export type PythonLoaderOptions = {
  /** Path of a python3, 3.9 or later; that of a virtual environment brings its packages. */
  python: string;
  /** Whom scripts run as; undefined: the daemon's own account, which is the only choice unless it is root. */
  account?: { uid: number; gid: number } | undefined;
  /** Where scripts run, and their HOME; made, and given to the account, where it is not there. */
  workingDirectory: string;
  /** Processes kept warm for each script (one where it is SYNCHRONOUS). */
  workersPerScript?: number;
  /** As many processes as a script may have when all calls are waiting for something. */
  maxWorkersPerScript?: number;
  /** Calls at once in one process. */
  threadsPerWorker?: number;
  /** Calls of one script that may wait for a thread. */
  maxWaiting?: number;
  /** Kept of what one call prints, and logged a minute of what else a process prints. */
  maxOutputBytes?: number;
  maxResultBytes?: number;
  /** Data segment of each process, scripts' own child processes included (RLIMIT_DATA). */
  memoryBytes?: number;
  /** Processes and threads that the account may have in all; counted only where scripts have an account of their own. */
  maxProcesses?: number;
  loadDeadlineMs?: number;
  log: Log;
};

const MiB = 1024 * 1024;

/** Loads Python scripts, each into worker processes of its own. */
export function createPythonLoader(options: PythonLoaderOptions): LoadScript {
  const { python, account, workingDirectory, log } = options;
  const { threadsPerWorker = 128, maxWaiting = 1_000, maxOutputBytes = 64 * 1024, workersPerScript = 2 } = options;
  const bounds = {
    maxOutputBytes,
    maxResultBytes: options.maxResultBytes ?? MiB,
    memoryBytes: options.memoryBytes ?? 1024 * MiB,
    processes: account === undefined ? null : (options.maxProcesses ?? 8192),
  };
  let source: Promise<HostSource> | undefined;

  return async ({ name, text }) => {
    source ??= readHostSource();
    const { boot, modules } = await source;
    await makeWorkingDirectory(workingDirectory, account);
    // -I: nothing from the account's home, the working directory or PYTHON variables; -B: no bytecode files.
    const args = ["-I", "-B", "-X", "utf8", "-c", boot];
    const command = { path: python, args, account, workingDirectory, supervises: true };
    return loadIntoWorkers({
      scriptName: name,
      interpreter: "Python",
      start: (onOutput) => startWorkerProcess({ ...command, onOutput }),
      orders: { sources: modules, name, text, ...bounds },
      loadDeadlineMs: options.loadDeadlineMs ?? 10_000,
      workers: workersPerScript,
      maxWorkers: Math.max(workersPerScript, options.maxWorkersPerScript ?? 8),
      callsPerWorker: threadsPerWorker,
      maxWaiting,
      maxOutputBytes,
      log,
    });
  };
}
