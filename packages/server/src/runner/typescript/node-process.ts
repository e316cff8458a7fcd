import { execFile } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { access, constants } from "node:fs/promises";
import { promisify } from "node:util";
import type { Log } from "../../core/log.ts";
import { startWorkerProcess, type WorkerProcess } from "../worker-process.ts";

export type NodeOptions = {
  /** Path of the Node that runs scripts. */
  node: string;
  account: { uid: number; gid: number } | undefined;
  workingDirectory: string;
  /** Beyond what Node needs to start; half of it for the script's objects, all of it with buffers and the like. */
  memoryBytes: number;
  log: Log;
};

export type StartNode = (options: {
  scriptName: string;
  boot: string;
  onOutput: (text: string) => void;
}) => WorkerProcess;

const MiB = 1024 * 1024;
/** In a minute, past the SDK's own bound; a process that writes more is ended. */
const mostOutputBytes = 16 * MiB;
const minuteMs = 60_000;

/**
 * Prepares to start Node processes that may use the network and little else: no files, no child processes, no threads,
 * no native code, no code from strings, no more memory than given, and no life after the daemon's.
 */
export async function prepareNode(options: NodeOptions): Promise<StartNode> {
  const { node, account, workingDirectory, memoryBytes, log } = options;
  const heapMiB = Math.max(16, Math.floor(memoryBytes / 2 / MiB));
  const bounds = await boundsBefore(node, { heapMiB, memoryBytes, log });
  // The permission model does not hold node:sqlite, which opens whatever file the account may.
  const permissions = ["--permission", "--no-experimental-sqlite", "--disable-sigusr1", "--disable-proto=delete"];
  const engine = [`--max-old-space-size=${heapMiB}`, "--disallow-code-generation-from-strings"];
  const habits = ["--use-system-ca", "--disable-warning=ExperimentalWarning", "--input-type=module-typescript"];
  return ({ scriptName, boot, onOutput }) => {
    const flags = [`--title=sallyport script ${scriptName}`, ...permissions, ...engine, ...habits];
    const [path = "", ...args] = [...bounds, "/proc/self/fd/4", ...flags, "-e", boot];
    const watched = watchOutput(onOutput, () => started.kill(undefined));
    // Opened here: the account that scripts run as may have no way to where Node is installed.
    const binary = openSync(node, "r");
    const inherits = [binary];
    const command = { path, args, account, workingDirectory, supervises: false, inherits };
    const started = startWorkerProcess({ ...command, onOutput: watched.onOutput });
    closeSync(binary);
    const explain = (how: string) => (watched.outOfMemory() ? `${how}: it needed more than its memory` : how);
    return { ...started, lost: started.lost.then(explain), ended: started.ended.then(explain) };
  };
}

/** Drops what a flood of output is beyond the bound, and ends a process that does not stop. */
function watchOutput(onOutput: (text: string) => void, end: () => void) {
  let size = 0;
  let last = "";
  let minuteBegan = 0;
  return {
    onOutput(text: string) {
      if (performance.now() - minuteBegan > minuteMs) [size, minuteBegan] = [0, performance.now()];
      size += text.length;
      last = (last + text).slice(-4_096);
      if (size <= mostOutputBytes) onOutput(text);
      else end();
    },
    outOfMemory: () => /out of memory|Failed to reserve|memory allocation/i.test(last),
  };
}

/** The programs that bound a process before they become it; both are part of util-linux. */
async function boundsBefore(
  node: string,
  { heapMiB, memoryBytes, log }: { heapMiB: number; memoryBytes: number; log: Log },
): Promise<string[]> {
  const [prlimit, setpriv] = await Promise.all(["/usr/bin/prlimit", "/usr/bin/setpriv"].map(isProgram));
  if (prlimit === undefined || setpriv === undefined) {
    const message = "TypeScript scripts run with fewer bounds: prlimit and setpriv of util-linux are not in /usr/bin";
    log.warn({}, message);
    return [];
  }
  const needed = await neededToStart(node, heapMiB);
  const data = needed + memoryBytes;
  return [
    ...[prlimit, `--data=${data}:${data}`, "--core=0:0", "--"],
    ...[setpriv, "--pdeathsig", "KILL", "--no-new-privs", "--"],
  ];
}

async function isProgram(path: string): Promise<string | undefined> {
  return access(path, constants.X_OK).then(
    () => path,
    () => undefined,
  );
}

/** What Node counts as its data before it does anything: hundreds of MiB, most of them never touched. */
async function neededToStart(node: string, heapMiB: number): Promise<number> {
  const tell = "process.stdout.write(require('node:fs').readFileSync('/proc/self/status', 'utf8'))";
  const { stdout } = await promisify(execFile)(node, [`--max-old-space-size=${heapMiB}`, "-e", tell], {
    timeout: 20_000,
    env: {},
  });
  const kibibytes = /^VmData:\s*(\d+) kB$/m.exec(stdout)?.[1];
  if (kibibytes === undefined) throw new Error("Node did not tell how much memory it needs to start");
  return Number(kibibytes) * 1024;
}
