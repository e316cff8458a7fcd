import { mkdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { claimSocketName, hiddenNameFor } from "../api/claim-socket.ts";
import { composeDaemon, type Daemon } from "../compose.ts";
import { loadConfig } from "../config/load.ts";
import { SallyportError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { closeInheritedDescriptors } from "../runner/programs/inherited-descriptors.ts";
import { openLog } from "./log.ts";

/** Ending every connection and telling the hooks must fit into this; then the process goes, whatever is left. */
const stopDeadlineMs = 14_500;

/**
 * Runs the daemon until it is told to stop, for ever where nothing tells. Resolves to the exit status. Faults of the
 * configuration are thrown before anything is touched.
 */
export async function serve(
  configFile: string,
  stopSignal: Promise<NodeJS.Signals> = new Promise(() => {}),
): Promise<number> {
  closeInheritedDescriptors();
  const log = openLog(process.env.SALLYPORT_LOG_LEVEL);
  const config = await loadConfig({ file: configFile, environment: process.env });
  for (const warning of config.warnings) log.warn({ file: config.file }, warning);
  // A signal that came while all this was loaded is heard now.
  const early = await Promise.race([stopSignal, pause(0)]);
  if (early !== undefined) {
    log.info({ signal: early }, "stopped before anything was started");
    return 0;
  }
  const unlock = await lockDataDirectory(config.dataDirectory);
  const daemon = await composeDaemon({ config, log });
  let stopped = false;
  const { promise, resolve: started } = Promise.withResolvers<void>();
  let reloads = promise;
  process.on("SIGHUP", () => {
    // One after the other, so that the file as it is last is what holds at the end.
    reloads = reloads.then(async () => (stopped ? undefined : await reload(daemon, configFile, log)));
  });
  await daemon.start();
  started();
  log.info({ file: config.file, dataDirectory: config.dataDirectory }, "ready");
  const signal = await stopSignal;
  log.info({ signal }, "stopping: every connection is ended");
  setTimeout(() => {
    log.error({}, "not everything ended in time; what hooks were not yet told, they are told at the next start");
    process.exit(1);
  }, stopDeadlineMs).unref();
  stopped = true;
  await reloads;
  await daemon.stop();
  await unlock();
  log.info({}, "stopped");
  return 0;
}

/** Applies the configuration file as it is now, or says why not and goes on as before. */
async function reload(daemon: Daemon, configFile: string, log: Log): Promise<void> {
  try {
    const config = await loadConfig({ file: configFile, environment: process.env });
    await daemon.reload(config);
    for (const warning of config.warnings) log.warn({ file: config.file }, warning);
    log.info({ file: config.file }, "reloaded: the new configuration is in force");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error({ file: configFile, reason }, "not reloaded: the configuration before stays in force");
  }
}

/** One daemon a data directory, from before it touches anything: a socket that only a living process can hold. */
async function lockDataDirectory(dataDirectory: string): Promise<() => Promise<void>> {
  // Others may pass through, to the directories that are theirs: scripts and hooks may run as accounts of their own.
  await mkdir(dataDirectory, { recursive: true, mode: 0o711 }).catch((error) => {
    throw unusable(dataDirectory, error);
  });
  const path = join(dataDirectory, "lock.sock");
  const hidden = hiddenNameFor(path);
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(hidden, resolve)).catch((error) => {
    throw unusable(dataDirectory, error);
  });
  try {
    await claimSocketName(hidden, path);
  } catch (error) {
    server.close();
    await rm(hidden, { force: true });
    throw error;
  }
  return async () => {
    await rm(path, { force: true });
    server.close();
  };
}

/** Before anything runs, a data directory that cannot be written is the usual reason, and not a fault of ours. */
function unusable(dataDirectory: string, error: NodeJS.ErrnoException): Error {
  const reason = reasons[error.code ?? ""];
  if (reason === undefined) return error;
  return new SallyportError("store-unavailable", `the data directory ${dataDirectory} cannot be used: ${reason}`);
}

const reasons: Readonly<Record<string, string>> = {
  EROFS: "its file system is mounted for reading only",
  ENOSPC: "its disk is full",
  EDQUOT: "its disk quota is used up",
  EACCES: "this account may not write there",
  EPERM: "this account may not write there",
  EEXIST: "it is no directory",
  ENOTDIR: "a part of the path is no directory",
};
