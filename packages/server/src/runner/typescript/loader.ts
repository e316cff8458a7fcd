import type { Log } from "../../core/log.ts";
import { loadIntoWorkers, makeWorkingDirectory } from "../load-into-workers.ts";
import type { LoadOutcome, LoadScript, ScriptToLoad } from "../runner.ts";
import { readHostSource } from "./host-source.ts";
import { prepareNode } from "./node-process.ts";
import { type CheckTypes, createTypeChecker } from "./type-checker.ts";

export type TypeScriptLoaderOptions = {
  /** Path of a Node 24; the daemon's own unless told. */
  node?: string;
  /** Whom scripts run as; undefined: the daemon's own account, which is the only choice unless it is root. */
  account?: { uid: number; gid: number } | undefined;
  /** Where scripts run, and their HOME; made, and given to the account, where it is not there. They cannot read it. */
  workingDirectory: string;
  /** Processes kept warm for each script (one where it is synchronous). */
  workersPerScript?: number;
  /** As many processes as a script may have when the others are full or do not answer. */
  maxWorkersPerScript?: number;
  /** Calls at once in one process. */
  callsPerWorker?: number;
  /** Calls of one script that may wait for a process. */
  maxWaiting?: number;
  /** Kept of what one call prints, and logged a minute of what else a process prints. */
  maxOutputBytes?: number;
  maxResultBytes?: number;
  /** For each process, beyond what Node needs to start. */
  memoryBytes?: number;
  loadDeadlineMs?: number;
  log: Log;
};

const MiB = 1024 * 1024;

/** Loads TypeScript scripts, each into worker processes of its own. JavaScript is TypeScript without types. */
export function createTypeScriptLoader(options: TypeScriptLoaderOptions): LoadScript {
  const { account, workingDirectory, log, maxOutputBytes = 64 * 1024, workersPerScript = 2 } = options;
  const { node = process.execPath, memoryBytes = 512 * MiB, maxResultBytes = MiB } = options;
  const prepare = async () => {
    const source = await readHostSource();
    return { source, start: await prepareNode({ node, account, workingDirectory, memoryBytes, log }) };
  };
  let prepared: ReturnType<typeof prepare> | undefined;
  const checkTypes = createTypeChecker();

  async function load({ name, text, settings, entry }: ScriptToLoad) {
    prepared ??= prepare();
    prepared.catch(() => {
      prepared = undefined; // it may only have lacked something for a moment
    });
    const { source, start } = await prepared;
    await makeWorkingDirectory(workingDirectory, account);
    return loadIntoWorkers({
      scriptName: name,
      interpreter: "Node",
      start: (onOutput) => start({ scriptName: name, boot: source.boot, onOutput }),
      orders: { sources: source.modules, name, text, settings, entry, maxOutputBytes, maxResultBytes },
      loadDeadlineMs: options.loadDeadlineMs ?? 10_000,
      workers: workersPerScript,
      maxWorkers: Math.max(workersPerScript, options.maxWorkersPerScript ?? 4),
      callsPerWorker: options.callsPerWorker ?? 512,
      maxWaiting: options.maxWaiting ?? 1_000,
      maxOutputBytes,
      log,
    });
  }

  return async (script) => {
    if (!script.thorough) return load(script);
    const [loaded, checked] = await Promise.all([load(script), checkTypes(script)]);
    return joinOutcomes(loaded, checked);
  };
}

/** A fault of loading comes first where its place is known; a script that loads may still have wrong types. */
async function joinOutcomes(
  loaded: Awaited<ReturnType<typeof loadIntoWorkers>>,
  checked: Awaited<ReturnType<CheckTypes>>,
): Promise<LoadOutcome> {
  const faults = "faults" in checked ? checked.faults : [];
  if ("fault" in loaded && (loaded.fault.line !== null || faults.length === 0)) return loaded;
  const [fault, ...more] = faults;
  if (fault === undefined) return "unchecked" in checked ? { ...loaded, notes: [checked.unchecked] } : loaded;
  if ("host" in loaded) await loaded.host.close();
  return { fault, more };
}
