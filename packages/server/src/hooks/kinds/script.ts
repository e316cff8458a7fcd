import { mkdir } from "node:fs/promises";
import { hookEnvironment } from "@sallyport/protocol";
import type { Telling } from "../../core/hook.ts";
import type { Program, ProgramResult, ProgramRunner } from "../../runner/runner.ts";
import type { Tell } from "../tell.ts";

export type ScriptHook = {
  path: string;
  /** Undefined: the daemon's own account. */
  account: string | undefined;
  /** Sets eduVPN's earliest, unprefixed names too. */
  legacyVariableNames: boolean;
  /** A directory of its own to run in; made, where it is missing, so that any account may read it. */
  workingDirectory: string;
};

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** UTF-8 without the rules of any country: names print as they are, numbers and dates do not change. */
const locale = "C.UTF-8";
const maxOutputBytes = 16_384;

/**
 * A program told through its environment, as eduVPN tells connect scripts, and through JSON on its standard input. Its
 * exit status 0 within the deadline means yes. It gets no arguments and no shell stands between.
 */
export function scriptHook(hook: ScriptHook, options: { runner: ProgramRunner; home: string }): Tell {
  const always = { PATH: searchPath, LANG: locale, HOME: options.home };
  let made: Promise<unknown> | undefined;
  return async (event, { deadlineMs, abort }) => {
    // Where this fails, the runner says that it is missing, and the next telling tries again.
    made ??= mkdir(hook.workingDirectory, { recursive: true, mode: 0o755 }).catch(() => {
      made = undefined;
    });
    await made;
    const result = await runAsShellsDo(options.runner, {
      path: hook.path,
      args: [],
      environment: { ...always, ...hookEnvironment(event, { legacyNames: hook.legacyVariableNames }) },
      account: hook.account,
      workingDirectory: hook.workingDirectory,
      stdin: `${JSON.stringify(event)}\n`,
      deadlineMs,
      maxOutputBytes,
      abort,
    });
    return { ...verdict(result, hook.path), output: result.output, durationMs: result.durationMs };
  };
}

/** eduVPN goes through a shell, which itself reads a text that does not say what runs it: such scripts run here too. */
async function runAsShellsDo(runner: ProgramRunner, program: Program): Promise<ProgramResult> {
  const result = await runner.run(program);
  if (result.outcome !== "not-started" || !(await runner.inspect(program.path)).throughShell) return result;
  const deadlineMs = Math.max(1, program.deadlineMs - result.durationMs);
  const again = await runner.run({ ...program, path: "/bin/sh", args: [program.path], deadlineMs });
  return { ...again, error: again.error?.replace(/^\/bin\/sh/, program.path) ?? null };
}

function verdict(result: ProgramResult, path: string): Pick<Telling, "answer" | "failure" | "error"> {
  switch (result.outcome) {
    case "exited":
      if (result.exitStatus === 0) return { answer: "yes", failure: null, error: null };
      return { answer: "no", failure: null, error: `${path} ended with exit status ${result.exitStatus}` };
    case "timed-out":
      return { answer: "failed", failure: "timed-out", error: result.error };
    case "signalled":
      return { answer: "failed", failure: "crashed", error: result.error ?? `${path} was killed by ${result.signal}` };
    case "not-started":
      return { answer: "failed", failure: "missing", error: result.error };
  }
}
