import { resolve } from "node:path";
import type { z } from "zod";
import type { HookTerms } from "../core/hook.ts";
import type { HookConfig, HookTarget } from "./config.ts";
import { describeValue, type Path } from "./faults.ts";
import { radiusAccountingTarget } from "./radius-accounting.ts";
import { addFault, addWarning, type Reading, take } from "./reading.ts";
import { hookSchemas } from "./schema.ts";
import { webhookTarget } from "./webhook.ts";

/** A hook and the keys it came from, for the checks that compare hooks with each other and with the file system. */
export type PlacedHook = { hook: HookConfig; path: Path; programPath: Path };

const kinds = ["script", "webhook", "log", "module", "radiusAccounting"] as const;

/** eduVPN's `connectScriptPath`: a vetoing script hook of that name, with ten seconds, told of connect and disconnect. */
export function connectScriptHook(reading: Reading, script: string): PlacedHook {
  const written = hookSchemas.script.parse({ name: "connectScriptPath", script, veto: true, deadlineMs: 10_000 });
  const path = ["connectScriptPath"];
  return { path, programPath: path, hook: { ...termsOf(written), ...scriptTarget(reading, written) } };
}

/** Reads one entry of `hooks`. Its kind is the one key of `kinds` that it has. */
export async function readHook(reading: Reading, value: unknown, path: Path): Promise<PlacedHook | undefined> {
  const present = kinds.filter((kind) => typeof value === "object" && value !== null && kind in value);
  const kind = present[0];
  if (kind === undefined || present.length > 1) {
    const found = kind === undefined ? describeValue(value) : present.join(" and ");
    addFault(reading, {
      path,
      expected: `a hook: a name and one of ${kinds.slice(0, -1).join(", ")} and ${kinds.at(-1)}`,
      found,
    });
    return undefined;
  }
  const hook = await readKind[kind](reading, value, path);
  if (!hook) return undefined;
  if (hook.veto && !hook.events.includes("connect"))
    addFault(reading, { path: [...path, "events"], expected: "connect among a veto hook's events", found: "none" });
  if (!hook.veto && valueHas(value, "onFailure"))
    addWarning(reading, [...path, "onFailure"], "has no effect: without veto: true this hook can refuse nobody");
  if (hook.veto && hook.graceMs > 0)
    addWarning(
      reading,
      [...path, "graceSeconds"],
      "has no effect: a veto hook is asked each time, and told of each end",
    );
  if (hook.retry.longestWaitMs < hook.retry.firstWaitMs) {
    const { firstWaitMs, longestWaitMs } = hook.retry;
    const at = [...path, "retry", "longestWaitMs"];
    addFault(reading, { path: at, expected: `at least firstWaitMs (${firstWaitMs})`, found: String(longestWaitMs) });
  }
  return { hook, path, programPath: [...path, kind] };
}

const valueHas = (value: unknown, key: string) => typeof value === "object" && value !== null && key in value;

type ReadKind = (reading: Reading, value: unknown, path: Path) => Promise<HookConfig | undefined>;

const readKind: Record<(typeof kinds)[number], ReadKind> = {
  script: async (reading, value, path) => {
    const written = take(reading, hookSchemas.script, value, path);
    return written && { ...termsOf(written), ...scriptTarget(reading, written) };
  },
  webhook: async (reading, value, path) => {
    const written = take(reading, hookSchemas.webhook, value, path);
    return written && { ...termsOf(written), ...(await webhookTarget(reading, written, path)) };
  },
  log: async (reading, value, path) => {
    const written = take(reading, hookSchemas.log, value, path);
    return (
      written && { ...termsOf(written), kind: "log", path: resolve(reading.directory, written.log), sync: written.sync }
    );
  },
  module: async (reading, value, path) => {
    const written = take(reading, hookSchemas.module, value, path);
    return written && { ...termsOf(written), kind: "module", path: resolve(reading.directory, written.module) };
  },
  radiusAccounting: async (reading, value, path) => {
    const written = take(reading, hookSchemas.radiusAccounting, value, path);
    if (!written) return undefined;
    const target = await radiusAccountingTarget(reading, written.radiusAccounting, [...path, "radiusAccounting"]);
    return { ...termsOf({ ...written, veto: false, showOutput: false }), ...target };
  },
};

type WrittenTerms = Omit<z.output<typeof hookSchemas.script>, "script" | "account" | "legacyVariableNames">;

/** Many people may wait for a veto at once; nobody waits for an observer. */
const usualConcurrency = { veto: 64, observer: 8 };

function termsOf(written: WrittenTerms): HookTerms {
  const { name, veto, deadlineMs, showOutput, graceSeconds, retry } = written;
  return {
    name,
    events: [...new Set(written.events)],
    veto,
    deadlineMs,
    onFailure: written.onFailure ?? "deny",
    showOutput,
    concurrency: written.concurrency ?? (veto ? usualConcurrency.veto : usualConcurrency.observer),
    graceMs: veto ? 0 : graceSeconds * 1000,
    retry,
  };
}

function scriptTarget(reading: Reading, written: z.output<typeof hookSchemas.script>): HookTarget {
  const { script, account, legacyVariableNames } = written;
  return { kind: "script", path: resolve(reading.directory, script), account, legacyVariableNames };
}
