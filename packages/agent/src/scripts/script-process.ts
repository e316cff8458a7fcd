import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import type { spawnOf } from "../interpreter/interpret.ts";
import { consoleReader } from "../windows/console-text.ts";
import { startInJob } from "../windows/start-in-job.ts";
import { endScript, killGroup } from "./end-processes.ts";

/** A script that runs, in a session of its own: no key of the agent's terminal reaches it. */
export type ScriptProcess = {
  stdin: Writable;
  /** Its standard output and error, together or apart. */
  outputs: readonly Readable[];
  exited: Promise<[status: number | null, signal: NodeJS.Signals | null]>;
  /** Ends it and everything that it started. */
  end(): Promise<void>;
  /** All that can be done while the agent itself exits, where the system does not do it. */
  endAtExit(): void;
  /** Once it has ended by itself: what it left may go on. */
  release(): void;
  /** What the bytes that it printed say. */
  readOutput(bytes: Buffer): string;
};

export type ScriptCommand = ReturnType<typeof spawnOf> & {
  /** Windows: the very line. */
  commandLine: string | undefined;
  environment: Readonly<Record<string, string>>;
  /** It starts there. */
  temporary: string;
  /** The script's own directory, by which what it started is found. */
  directory: string;
  /** Handed down as descriptor 3. */
  descriptor: number | undefined;
};

/** Another process of ours may hold the file open for an instant while it is being started (ETXTBSY). */
const busyRetries = 25;
const busyWaitMs = 20;

/** @throws Error in words for people */
export async function startScript(command: ScriptCommand): Promise<ScriptProcess> {
  return process.platform === "win32" ? await startOnWindows(command) : await startOnUnix(command);
}

async function startOnWindows(command: ScriptCommand): Promise<ScriptProcess> {
  const { program, commandLine = "", environment, temporary } = command;
  const readOutput = await consoleReader();
  const start = { program, commandLine, environment, directory: temporary };
  const { stdin, output, ended, terminate, release } = await startInJob(start);
  return {
    stdin,
    outputs: [output],
    exited: ended.then((status) => [status, null]),
    end: async () => terminate(),
    endAtExit: () => undefined,
    release,
    readOutput,
  };
}

async function startOnUnix(command: ScriptCommand): Promise<ScriptProcess> {
  const { program, args, options, environment, temporary, directory, descriptor } = command;
  const child = await started(program, args, {
    ...options,
    env: environment,
    cwd: temporary,
    detached: true,
    stdio: ["pipe", "pipe", "pipe", ...(descriptor === undefined ? [] : [descriptor])],
  });
  const pid = child.pid as number;
  return {
    stdin: child.stdin as Writable,
    outputs: [child.stdout as Readable, child.stderr as Readable],
    exited: new Promise((resolve) => child.once("exit", (status, signal) => resolve([status, signal]))),
    end: () => endScript(pid, directory),
    endAtExit: () => killGroup(pid),
    release: () => undefined,
    readOutput: (bytes) => bytes.toString("utf8"),
  };
}

async function started(program: string, args: readonly string[], options: SpawnOptions): Promise<ChildProcess> {
  for (let retries = busyRetries; ; retries -= 1) {
    const child = await new Promise<ChildProcess | NodeJS.ErrnoException>((resolve) => {
      try {
        const begun = spawn(program, args, options);
        begun.once("error", resolve);
        begun.once("spawn", () => resolve(begun));
      } catch (error) {
        resolve(error as NodeJS.ErrnoException);
      }
    });
    if (!(child instanceof Error)) return child;
    if (child.code !== "ETXTBSY" || retries === 0) throw new Error(wordsFor(child));
    await wait(busyWaitMs);
  }
}

function wordsFor(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT") return "the program that its first line names is not on this machine";
  if (error.code === "EACCES") return "this account may not run it (is the file system mounted noexec?)";
  return error.code ?? error.message;
}
