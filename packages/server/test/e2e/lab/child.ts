import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { until } from "../../waiting.ts";

const mostOutputBytes = 8 * 1024 * 1024;

/** A process of the lab, whose whole output is kept. */
export type Child = {
  pid: number;
  output(): string;
  /** Undefined while it runs. */
  exited(): { status: number | null; signal: string | null } | undefined;
  signal(signal: NodeJS.Signals): void;
  /** SIGSTOP; resolves when every thread of it stands still. */
  freeze(): Promise<void>;
  /** Resolves when it has ended; after the deadline it is killed. */
  end(signal: NodeJS.Signals, deadlineMs?: number): Promise<void>;
};

export async function startChild(
  command: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; input?: string } = {},
): Promise<Child> {
  const [program = "", ...args] = command;
  const child: ChildProcess = spawn(program, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ["pipe", "pipe", "pipe"],
  });
  let output = "";
  const collect = (chunk: Buffer) => {
    if (output.length < mostOutputBytes) output += chunk.toString("utf8");
  };
  child.stdout?.on("data", collect);
  child.stderr?.on("data", collect);
  // Whoever does not read its standard input must not bring the test down.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input ?? "");
  await once(child, "spawn");
  const running = () => child.exitCode === null && child.signalCode === null;
  const exit = new Promise<void>((ended) => child.once("exit", () => ended()));

  return {
    pid: child.pid as number,
    output: () => output,
    exited: () => (running() ? undefined : { status: child.exitCode, signal: child.signalCode }),
    signal: (signal) => void child.kill(signal),
    freeze: async () => {
      child.kill("SIGSTOP");
      await until("every thread to stand still", async () => await standsStill(child.pid as number), { everyMs: 5 });
    },
    end: async (signal, deadlineMs = 60_000) => {
      if (!running()) return;
      child.kill(signal);
      const late = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
      await exit;
      clearTimeout(late);
    },
  };
}

/** A stopped thread's state, behind the name in parentheses, is T. */
async function standsStill(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`);
  const stats = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, "utf8")));
  return stats.every((stat) => stat.slice(stat.lastIndexOf(")") + 2).startsWith("T"));
}
