import { chown, mkdir } from "node:fs/promises";
import type { ScriptFault, ScriptHost } from "./runner.ts";
import { Worker, type WorkerOptions } from "./worker.ts";
import { type PoolOptions, WorkerPool } from "./worker-pool.ts";

type Options = Omit<WorkerOptions, "onReady" | "onAnswer" | "onEnd"> & Omit<PoolOptions, "facts" | "startWorker">;

/** Loads a script into a first worker, which a pool then keeps; what the worker says of the script is the outcome. */
export async function loadIntoWorkers(options: Options): Promise<{ host: ScriptHost } | { fault: ScriptFault }> {
  let pool: WorkerPool | undefined;
  const startWorker = () =>
    new Worker({
      ...options,
      onReady: () => pool?.onReady(),
      onAnswer: (worker) => pool?.onAnswer(worker),
      onEnd: (worker) => pool?.onEnd(worker),
    });
  const first = startWorker();
  const loaded = await first.loaded;
  if ("fault" in loaded) {
    await first.ended;
    return loaded;
  }
  pool = new WorkerPool({ ...options, facts: loaded.facts, startWorker }, first);
  return { host: pool };
}

/** Where scripts run: made, and given to their account, where it is not there. */
export async function makeWorkingDirectory(
  path: string,
  account: { uid: number; gid: number } | undefined,
): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o755 });
  if (made !== undefined && account !== undefined) await chown(path, account.uid, account.gid);
}
