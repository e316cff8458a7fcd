import { chown, mkdir } from "node:fs/promises";
import type { Log } from "../../core/log.ts";
import type { LoadScript } from "../runner.ts";
import { PythonHost } from "./host.ts";
import { type HostSource, readHostSource } from "./host-source.ts";
import { Worker } from "./worker.ts";

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
    maxProcesses: account === undefined ? null : (options.maxProcesses ?? 8192),
    loadDeadlineMs: options.loadDeadlineMs ?? 10_000,
  };
  let source: Promise<HostSource> | undefined;

  return async (script) => {
    source ??= readHostSource();
    const shared = { source: await source, script, python, account, workingDirectory, log, ...bounds };
    await makeDirectory(workingDirectory, account);
    let host: PythonHost | undefined;
    const start = () =>
      new Worker({
        ...shared,
        onReady: () => host?.onReady(),
        onAnswer: (worker) => host?.onAnswer(worker),
        onEnd: (worker) => host?.onEnd(worker),
      });
    const first = start();
    const loaded = await first.loaded;
    if ("fault" in loaded) {
      await first.ended;
      return loaded;
    }
    const workers = {
      workers: workersPerScript,
      maxWorkers: Math.max(workersPerScript, options.maxWorkersPerScript ?? 8),
      threadsPerWorker,
      startWorker: start,
    };
    const own = { facts: loaded.facts, scriptName: script.name, maxWaiting, maxOutputBytes, log };
    host = new PythonHost({ ...own, ...workers }, first);
    return { host };
  };
}

async function makeDirectory(path: string, account: PythonLoaderOptions["account"]): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o755 });
  if (made !== undefined && account !== undefined) await chown(path, account.uid, account.gid);
}
