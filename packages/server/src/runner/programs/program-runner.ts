import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import type { Log } from "../../core/log.ts";
import type { Program, ProgramResult, ProgramRunner } from "../runner.ts";
import { type Account, createAccountLookup } from "./accounts.ts";
import { createPipeSource, inputFile, type OutputPipe } from "./channels.ts";
import { codeOf, faultOfStart, inspectExecutable } from "./executable.ts";
import { OutputReader } from "./output-reader.ts";

/** A program being written is waited for a little: installers write in place. */
const busyRetries = 25;
const busyWaitMs = 40;
/** How long the end of a killed process is waited for: one stuck in the kernel must not hold the answer. */
const killedWaitMs = 1_000;

type Tools = {
  lookUp: (name: string) => Promise<Account | { fault: string }>;
  takePipe: () => Promise<OutputPipe>;
  log: Log;
};

/**
 * Runs programs with Node's own spawn: execve without a shell, a session of its own, nothing of the daemon's
 * environment or files. The end of the program itself decides; children it left in the background live on after an end
 * in time and are killed with it at the deadline (their process group is).
 */
export function createProgramRunner(options: { log: Log }): ProgramRunner {
  const tools: Tools = { lookUp: createAccountLookup(), takePipe: createPipeSource(), log: options.log };
  return { inspect: inspectExecutable, run: (program) => run(program, tools) };
}

async function run(program: Program, tools: Tools): Promise<ProgramResult> {
  const begun = performance.now();
  const elapsedMs = () => performance.now() - begun;
  try {
    const ready = await prepare(program, tools.lookUp);
    if ("fault" in ready) return notStarted(ready.fault, elapsedMs());
    const launched = await launch(program, ready, tools.takePipe);
    if (typeof launched === "string") return notStarted(await faultOfStart(program, launched), elapsedMs());
    const reader = new OutputReader(launched.readFd, program.maxOutputBytes);
    const end = await ended(launched, program, program.deadlineMs - elapsedMs());
    return { ...end, output: reader.finish(), durationMs: Math.round(elapsedMs()) };
  } catch (error) {
    tools.log.error({ error, path: program.path }, "a program could not be run");
    return notStarted(`${program.path} cannot be started: ${codeOf(error)}`, elapsedMs());
  }
}

type Ready = { environment: Record<string, string>; account: Account | undefined };

async function prepare(program: Program, lookUp: Tools["lookUp"]): Promise<Ready | { fault: string }> {
  const { path } = program;
  const unpassable = faultOfText(program);
  if (unpassable !== null) return { fault: `${path} cannot be started: ${unpassable}` };
  const { fault } = await inspectExecutable(path);
  if (fault !== null) return { fault };
  if (program.account === undefined) return { environment: { ...program.environment }, account: undefined };
  const account = await lookUp(program.account);
  if ("fault" in account) return { fault: `${path} cannot be started: ${account.fault}` };
  return { environment: { ...program.environment, HOME: account.home }, account };
}

/** What execve cannot take, or would take changed: NULs end a string early, lone surrogates are no UTF-8. */
function faultOfText(program: Program): string | null {
  const texts = [...Object.entries(program.environment), ...program.args.map((arg, i) => [`argument ${i + 1}`, arg])];
  for (const [name = "", value = ""] of texts) {
    if (name === "" || name.includes("=")) return `${JSON.stringify(name)} cannot be the name of a variable`;
    if (name.includes("\0") || value.includes("\0")) return `the value of ${name} holds a NUL byte`;
    if (!name.isWellFormed() || !value.isWellFormed()) return `the value of ${name} is not valid Unicode`;
  }
  return null;
}

type Running = { pid: number; exited: Promise<Pick<ProgramResult, "exitStatus" | "signal">> };

/** The running program and where to read what it prints, or the system's error code. */
async function launch(
  program: Program,
  ready: Ready,
  takePipe: Tools["takePipe"],
): Promise<(Running & { readFd: number }) | string> {
  await using stdin = await inputFile(program.stdin);
  const { readFd, writeFd } = await takePipe();
  const running = await start(program, ready, [stdin.fd, writeFd]);
  // Ours would keep the pipe from ending.
  closeSync(writeFd);
  if (typeof running !== "string") return { ...running, readFd };
  closeSync(readFd);
  return running;
}

/** The running program, or the system's error code. */
async function start(
  program: Program,
  { environment, account }: Ready,
  [stdin, output]: [number, number],
): Promise<Running | string> {
  const own = account === undefined || account.uid === process.getuid?.();
  for (let retries = busyRetries; ; retries -= 1) {
    const running = await trySpawn(() =>
      spawn(program.path, program.args, {
        env: environment,
        cwd: program.workingDirectory,
        stdio: [stdin, output, output],
        detached: true,
        ...(own ? {} : { uid: account.uid, gid: account.gid }),
      }),
    );
    if (running !== "ETXTBSY" || retries === 0) return running;
    await wait(busyWaitMs);
  }
}

/** Node throws for some failures to start and tells others later; both are known by the next turn of the loop. */
function trySpawn(spawnChild: () => ChildProcess): Promise<Running | string> {
  return new Promise((resolve) => {
    try {
      const child = spawnChild();
      const exited = new Promise<Awaited<Running["exited"]>>((resolveExited) =>
        child.once("exit", (exitStatus, signal) => resolveExited({ exitStatus, signal })),
      );
      child.on("error", (error) => resolve(codeOf(error)));
      child.once("spawn", () => resolve({ pid: child.pid ?? 0, exited }));
    } catch (error) {
      resolve(codeOf(error));
    }
  });
}

type End = Pick<ProgramResult, "outcome" | "exitStatus" | "signal" | "error">;

/** Resolves when the program itself has ended, by itself or by us; whoever holds its output open is not waited for. */
async function ended({ pid, exited }: Running, program: Program, remainingMs: number): Promise<End> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<End>();
  const late = `${program.path} did not end within ${program.deadlineMs} ms and was killed`;
  const deadline = setTimeout(
    () => stop({ outcome: "timed-out", exitStatus: null, signal: "SIGKILL", error: late }),
    Math.max(0, remainingMs),
  );
  const early = `${program.path} was ended before it was done`;
  const abort = () => stop({ outcome: "signalled", exitStatus: null, signal: "SIGKILL", error: early });
  program.abort?.addEventListener("abort", abort);
  if (program.abort?.aborted) abort();
  try {
    const byItself = exited.then((end): End => {
      return { ...end, outcome: end.signal === null ? "exited" : "signalled", error: null };
    });
    const end = await Promise.race([byItself, stopped]);
    if (end.error === null) return end;
    killGroup(pid);
    await Promise.race([exited, wait(killedWaitMs, undefined, { ref: false })]);
    return end;
  } finally {
    clearTimeout(deadline);
    program.abort?.removeEventListener("abort", abort);
  }
}

/** The program leads its group and has not been waited for, so the number cannot be somebody else's. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The whole group has ended meanwhile.
  }
}

function notStarted(error: string, elapsedMs: number): ProgramResult {
  const durationMs = Math.round(elapsedMs);
  return { outcome: "not-started", exitStatus: null, signal: null, error, output: "", durationMs };
}
