import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { constants } from "node:os";
import type { HostAnswer } from "./host-calls.ts";
import type { Streams } from "./host-streams.ts";

type Stdio = { inherit?: number; pipe?: true; ignore?: true; stdout?: true; descriptor?: number };

export type SpawnRequest = {
  program: string;
  args?: string[];
  argv0?: string;
  /** Windows: what follows the program's name, as it stands. */
  line?: string;
  cwd: string;
  env: Record<string, string>;
  stdio: [Stdio, Stdio, Stdio];
};

/** The processes that Python has started, by a number of ours: a process id may be another's once it has ended. */
export function hostProcesses(streams: Streams) {
  const processes: { child: ChildProcess; ended: Promise<number> }[] = [];

  async function start(request: SpawnRequest): Promise<HostAnswer> {
    const [input, output, error] = request.stdio;
    const stdio: StdioOptions = [input, output, error.stdout ? output : error].map(stdioOf);
    const child = spawn(request.program, request.line === undefined ? (request.args ?? []) : [request.line], {
      cwd: request.cwd,
      env: request.env,
      stdio,
      windowsHide: true,
      ...(request.line === undefined
        ? { argv0: request.argv0 }
        : { windowsVerbatimArguments: true, argv0: `"${request.program}"` }),
    });
    await new Promise<void>((started, failed) => {
      child.once("spawn", started);
      child.once("error", (fault: NodeJS.ErrnoException) => failed(Object.assign(fault, { path: request.program })));
    });
    const ended = new Promise<number>((status) => {
      child.once("exit", (code, signal) => status(code ?? -(constants.signals[signal ?? "SIGKILL"] ?? 9)));
    });
    return {
      pid: child.pid,
      process: processes.push({ child, ended }) - 1,
      streams: [
        child.stdin && streams.addWriter(child.stdin),
        child.stdout && streams.addReader(child.stdout, ...(error.stdout && child.stderr ? [child.stderr] : [])),
        error.stdout ? null : child.stderr && streams.addReader(child.stderr),
      ],
    };
  }

  async function wait(request: { process: number; seconds?: number | null }): Promise<HostAnswer> {
    const { ended } = processes[request.process] ?? {};
    if (ended === undefined) throw new Error("no such process");
    if (request.seconds === null || request.seconds === undefined) return { status: await ended };
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((passed) => {
      timer = setTimeout(() => passed(null), Math.min(Math.max(request.seconds ?? 0, 0) * 1000, 2 ** 31 - 1));
    });
    const status = await Promise.race([ended, late]);
    clearTimeout(timer);
    return { status };
  }

  return {
    start,
    wait,
    signal: (request: { process: number; signal: number }) =>
      processes[request.process]?.child.kill(request.signal as unknown as NodeJS.Signals),
  };
}

function stdioOf(asked: Stdio): "pipe" | "ignore" | number {
  if (asked.pipe) return "pipe";
  if (asked.ignore) return "ignore";
  return asked.inherit ?? asked.descriptor ?? "ignore";
}
