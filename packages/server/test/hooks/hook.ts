import type { ConnectionEvent } from "@sallyport/protocol";
import type { HookTerms, Telling } from "../../src/core/hook.ts";
import { createHooks, type Hooks, type HooksOptions } from "../../src/hooks/dispatch.ts";
import { type ScriptHook, scriptHook } from "../../src/hooks/kinds/script.ts";
import type { BoundHook } from "../../src/hooks/tell.ts";
import { createProgramRunner } from "../../src/runner/programs/program-runner.ts";

export const silent = { debug() {}, info() {}, warn() {}, error() {} };
export const runner = createProgramRunner({ log: silent });
export const node = { number: 3, url: "https://vpn.example.org", hostName: "vpn.example.org" };

export function terms(name: string, changes: Partial<HookTerms> = {}): HookTerms {
  return {
    name,
    events: ["connect", "disconnect"],
    veto: false,
    deadlineMs: 20_000,
    onFailure: "deny",
    showOutput: false,
    concurrency: 8,
    graceMs: 0,
    retry: { attempts: 5, firstWaitMs: 10, longestWaitMs: 40 },
    ...changes,
  };
}

/** A real program as a hook. */
export function program(path: string, changes: Partial<HookTerms & ScriptHook> = {}): BoundHook {
  const { account, legacyVariableNames = false, workingDirectory = "/", ...rest } = changes;
  const hook = { path, account, legacyVariableNames, workingDirectory };
  return {
    terms: terms(rest.name ?? "script", rest),
    tell: scriptHook(hook, { runner, home: "/root" }),
    target: `script ${path}`,
  };
}

export const yes: Telling = { answer: "yes", failure: null, error: null, output: "", durationMs: 1 };

/** A hook that remembers what it was told and answers as it is told to. */
export function listener(
  changes: Partial<HookTerms> = {},
  answer: (event: ConnectionEvent, abort: AbortSignal) => Telling | Promise<Telling> = () => yes,
): BoundHook & { told: ConnectionEvent[] } {
  const told: ConnectionEvent[] = [];
  return {
    told,
    terms: terms(changes.name ?? "listener", changes),
    target: "listener",
    tell: async (event, { abort }) => {
      told.push(event);
      return answer(event, abort);
    },
  };
}

export function hooksOf(
  hooks: readonly BoundHook[],
  store: HooksOptions["store"],
  changes: Partial<HooksOptions> = {},
): Hooks {
  return createHooks({ hooks, store, runner, node, log: silent, ...changes });
}
