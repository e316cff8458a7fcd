import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex } from "node:stream";

export type WorkerProcess = {
  pid: number | undefined;
  /** The conversation with the script; undefined where nothing could be started. */
  pipe: Duplex | undefined;
  /** Resolves when nobody is at the other end of the pipe any more, to how the process ended as far as is known. */
  lost: Promise<string>;
  /** Resolves when the process and everything it started is gone. */
  ended: Promise<string>;
  /** Ends the process and everything it started. `worker`: the process that the script runs in, where it is known. */
  kill(worker: number | undefined): void;
  /** Whether this process may end while that one runs. */
  ref(): void;
  unref(): void;
};

/** The process that supervises the script kills within 5 s; if it cannot, it is killed from here. */
const endingMs = 7_000;
/** Between the end of the pipe and the news of how the process ended. */
const newsMs = 500;

/**
 * Starts a process that runs a script, in a process group of its own, with an environment built from nothing. It speaks
 * with the daemon over its descriptor 3. Never throws.
 */
export function startWorkerProcess(options: {
  path: string;
  args: readonly string[];
  account: { uid: number; gid: number } | undefined;
  workingDirectory: string;
  /**
   * The process starts another one for the script, whose pid it tells, and at SIGTERM ends it and all its offspring.
   * Without, the process itself runs the script, and can have no offspring.
   */
  supervises: boolean;
  /** Descriptors of ours that it gets too, as 4 and up. */
  inherits?: readonly number[];
  /** What is written to its descriptors 1 and 2. */
  onOutput: (text: string) => void;
}): WorkerProcess {
  const { path, workingDirectory, account } = options;
  const failed = (error: Error) => `could not be started: ${path} in ${workingDirectory}: ${error.message}`;
  let child: ChildProcess;
  try {
    child = spawn(path, options.args, {
      cwd: workingDirectory,
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        LANG: "C.UTF-8",
        HOME: workingDirectory,
      },
      stdio: ["ignore", "pipe", "pipe", "pipe", ...(options.inherits ?? [])],
      detached: true,
      ...(account && { uid: account.uid, gid: account.gid }),
    });
  } catch (error) {
    const how = Promise.resolve(failed(error as Error));
    return { pid: undefined, pipe: undefined, lost: how, ended: how, kill: () => {}, ref: () => {}, unref: () => {} };
  }

  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("error", () => {});
    stream?.on("data", (chunk: Buffer) => options.onOutput(chunk.toString("utf8")));
  }
  const pipe = child.stdio[3] as Duplex;
  pipe.on("error", () => {}); // its other end is gone; `lost` says so

  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(failed(error)));
    child.once("exit", (status, signal) => {
      const how = signal === null ? `ended with status ${status}` : `was killed by ${signal}`;
      // What it wrote last may still be on its way.
      child.once("close", () => resolve(how));
      setTimeout(() => resolve(how), newsMs);
    });
  });
  // The script's process is gone as soon as the pipe closes; it may take longer until its offspring is.
  const closed = new Promise<string>((resolve) => {
    pipe.once("close", () => setTimeout(() => resolve("ended"), newsMs));
  });
  const handles = [child, ...child.stdio] as readonly (Partial<Record<"ref" | "unref", () => void>> | null)[];
  return {
    ref: () => {
      for (const handle of handles) handle?.ref?.();
    },
    unref: () => {
      for (const handle of handles) handle?.unref?.();
    },
    pid: child.pid,
    pipe,
    lost: Promise.race([ended, closed]),
    ended,
    kill: (worker) => {
      if (!options.supervises) {
        child.kill("SIGKILL");
        return;
      }
      // At once, since a fork bomb would leave the supervisor no time to run; only while its pid is surely its own.
      if (worker !== undefined && !pipe.closed) killGroup(worker);
      child.kill("SIGTERM");
      const insist = setTimeout(() => {
        for (const pid of [worker, child.pid]) if (pid !== undefined) killGroup(pid);
      }, endingMs);
      ended.then(() => clearTimeout(insist));
    },
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nobody is left in it.
  }
}
