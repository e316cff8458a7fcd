import { constants } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import type { Log } from "../../core/log.ts";
import type { Program, ProgramResult, ProgramRunner } from "../runner.ts";
import { type Account, createAccountLookup } from "./accounts.ts";
import { codeOf, faultOfStart, inspectExecutable } from "./executable.ts";
import type { Order, SpawnedEnd } from "./spawner.ts";
import { createSpawners, type Spawners } from "./spawners.ts";

/** A program being written is waited for a little: installers write in place. */
const busyRetries = 25;
const busyWaitMs = 40;

type Tools = {
  lookUp: (name: string) => Promise<Account | { fault: string }>;
  spawners: Spawners;
  log: Log;
};

/**
 * Runs programs through processes that do nothing else (spawner.py): execve without a shell, a session of its own,
 * nothing of the daemon's environment or files. The end of the program itself decides; children it left in the
 * background live on after an end in time and are killed with it at the deadline (their process group is). When the
 * daemon dies, what runs is killed. `python`: path of the interpreter; `spawners`: how many of them at most.
 */
export function createProgramRunner(options: { log: Log; python?: string; spawners?: number }): ProgramRunner & {
  spawnerPids(): number[];
} {
  const { log, python = "/usr/bin/python3", spawners: most } = options;
  const spawners = createSpawners({ python, log, ...(most !== undefined && { most }) });
  const tools: Tools = { lookUp: createAccountLookup(), spawners, log };
  return { inspect: inspectExecutable, run: (program) => run(program, tools), spawnerPids: spawners.pids };
}

async function run(program: Program, tools: Tools): Promise<ProgramResult> {
  const begun = performance.now();
  const elapsedMs = () => Math.round(performance.now() - begun);
  try {
    const ready = await prepare(program, tools.lookUp);
    if ("fault" in ready) return notStarted(ready.fault, elapsedMs());
    const end = await spawnWhenWritten(program, ready, { spawners: tools.spawners, begun });
    return { ...(await resultOf(end, program)), durationMs: elapsedMs() };
  } catch (error) {
    tools.log.error({ error, path: program.path }, "a program could not be run");
    return notStarted(`${program.path} cannot be started: ${codeOf(error)}`, elapsedMs());
  }
}

type Ready = Pick<Order, "environment" | "account">;

async function prepare(program: Program, lookUp: Tools["lookUp"]): Promise<Ready | { fault: string }> {
  const { path, environment } = program;
  const unpassable = faultOfText(program);
  if (unpassable !== null) return { fault: `${path} cannot be started: ${unpassable}` };
  // Against the spawner's directory it would be another file.
  if (!path.startsWith("/")) return { fault: (await inspectExecutable(path)).fault ?? `${path} is not absolute` };
  if (program.account === undefined) return { environment, account: null };
  const account = await lookUp(program.account);
  if ("fault" in account) return { fault: `${path} cannot be started: ${account.fault}` };
  const { uid, gid, home } = account;
  return { environment: { ...environment, HOME: home }, account: uid === process.getuid?.() ? null : { uid, gid } };
}

/** What execve cannot take, or would take changed: NULs end a string early, lone surrogates are no UTF-8. */
function faultOfText(program: Program): string | null {
  const texts = [
    ["path", program.path],
    ...Object.entries(program.environment),
    ...program.args.map((arg, i) => [`argument ${i + 1}`, arg]),
  ];
  for (const [name = "", value = ""] of texts) {
    if (name === "" || name.includes("=")) return `${JSON.stringify(name)} cannot be the name of a variable`;
    if (name.includes("\0") || value.includes("\0")) return `the value of ${name} holds a NUL byte`;
    if (!name.isWellFormed() || !value.isWellFormed()) return `the value of ${name} is not valid Unicode`;
  }
  return null;
}

async function spawnWhenWritten(
  program: Program,
  ready: Ready,
  { spawners, begun }: { spawners: Spawners; begun: number },
): Promise<SpawnedEnd> {
  const { path, args, workingDirectory, deadlineMs, maxOutputBytes, abort } = program;
  for (let retries = busyRetries; ; retries -= 1) {
    const leftMs = Math.max(0, Math.round(deadlineMs - (performance.now() - begun)));
    const stdin = program.stdin.toWellFormed();
    const order = { ...ready, path, args, workingDirectory, stdin, deadlineMs: leftMs, maxOutputBytes };
    const end = await spawners.run(order, abort);
    if (end.outcome !== "failed" || end.code !== "ETXTBSY" || retries === 0) return end;
    await wait(busyWaitMs);
  }
}

type Result = Omit<ProgramResult, "durationMs">;

async function resultOf(end: SpawnedEnd, program: Program): Promise<Result> {
  const { path, deadlineMs } = program;
  const killed = { exitStatus: null, signal: "SIGKILL" };
  switch (end.outcome) {
    case "ended": {
      const { exitStatus, output } = end;
      const signal = end.signal === null ? null : (signalNames.get(end.signal) ?? `signal ${end.signal}`);
      return { outcome: signal === null ? "exited" : "signalled", exitStatus, signal, error: null, output };
    }
    case "timed-out": {
      const error = `${path} did not end within ${deadlineMs} ms and was killed`;
      return { ...killed, outcome: end.outcome, error, output: end.output };
    }
    case "aborted":
      return { ...killed, outcome: "signalled", error: `${path} was ended before it was done`, output: end.output };
    case "lost":
      return { ...killed, outcome: "signalled", error: `${path} was ended: ${end.message}`, output: "" };
    case "unavailable":
      return notStarted(`${path} cannot be started: ${end.message}; is python3 installed?`, 0);
    case "failed":
      return notStarted(await faultOf(program, end.code), 0);
  }
}

/** The kernel says one number for many faults: what is wrong with the file is looked for only then. */
async function faultOf(program: Program, code: string): Promise<string> {
  return (await inspectExecutable(program.path)).fault ?? (await faultOfStart(program, code));
}

function notStarted(error: string, durationMs: number): ProgramResult {
  return { outcome: "not-started", exitStatus: null, signal: null, error, output: "", durationMs };
}

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));
