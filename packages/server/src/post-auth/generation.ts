import type { Log } from "../core/log.ts";
import type { PostAuthTerms } from "../core/post-auth.ts";
import type { ScriptFacts, ScriptHost } from "../runner/runner.ts";
import type { ScriptVersion } from "../store/store.ts";
import type { ChainScript } from "./chain.ts";
import { describeFault, wayOut } from "./fault-text.ts";
import { type Loaders, loaderFor } from "./loaders.ts";
import { readSettings } from "./script-settings.ts";

/** A live version of a script; `fault` says why it could not be loaded, and then everybody is denied. */
export type ActiveScript = { name: string; version: number } & (
  | { facts: ScriptFacts; fault: null }
  | { facts: null; fault: string }
);

type Loaded = { script: string; version: number; settings: string | undefined; host: ScriptHost };

/** The scripts that are live together, from one reload to the next. */
export type Generation = {
  terms: PostAuthTerms;
  chain: readonly ChainScript[];
  scripts: readonly ActiveScript[];
  /** One sentence for each script that could not be loaded. */
  faults: readonly string[];
  /** Whatever runs inside keeps this generation's processes alive. */
  use<Result>(run: () => Promise<Result>): Promise<Result>;
  /** Nothing new begins here; processes that `next` did not take over end when nobody uses them any more. */
  retire(next: Generation): void;
  close(): Promise<void>;
  /** For the next generation. */
  loaded: readonly Loaded[];
  /** Resolves when neither this generation nor an earlier one is in use any more and their own processes are gone. */
  gone: Promise<unknown>;
};

/**
 * Loads what is active. Versions that were live before with the same settings keep their processes. Never rejects because
 * of a script.
 */
export async function createGeneration(options: {
  active: readonly ScriptVersion[];
  /** What was set for a script, in JSON. */
  settings: (script: string) => Promise<string | undefined>;
  before: Generation | undefined;
  loaders: Loaders;
  log: Log;
}): Promise<Generation> {
  const { active, before, log } = options;
  const entries = await Promise.all(active.map((script) => loadOrKeep(script, options)));
  const loaded = entries.filter((entry) => "host" in entry);
  const failed = entries.filter((entry) => "fault" in entry);
  for (const one of failed) log.error({ next: wayOut(one.script) }, `everybody is denied: ${sentenceOf(one)}`);
  return assemble({ entries, loaded, faults: failed.map(sentenceOf), before });
}

type Failed = { script: string; version: number; fault: string };

function sentenceOf({ script, version, fault }: Failed): string {
  return `the active post-auth script ${script} (version ${version}) cannot be loaded: ${fault}`;
}

async function loadOrKeep(
  { script, version, text, language }: ScriptVersion,
  { before, loaders, settings: read }: Pick<Parameters<typeof createGeneration>[0], "before" | "loaders" | "settings">,
): Promise<Loaded | Failed> {
  const settings = await read(script);
  const same = (one: Loaded) => one.script === script && one.version === version && one.settings === settings;
  const kept = before?.loaded.find(same);
  if (kept !== undefined) return kept;
  try {
    const load = loaderFor(loaders, language);
    const outcome = await load({ name: script, text, settings: readSettings(settings) });
    if ("host" in outcome) return { script, version, settings, host: outcome.host };
    return { script, version, fault: describeFault(outcome.fault) };
  } catch (error) {
    return { script, version, fault: error instanceof Error ? error.message : String(error) };
  }
}

function assemble(parts: {
  entries: readonly (Loaded | Failed)[];
  loaded: readonly Loaded[];
  faults: readonly string[];
  before: Generation | undefined;
}): Generation {
  const { entries, loaded, faults } = parts;
  const earlier = parts.before?.gone;
  const replaced = new Set(parts.before?.loaded.filter((one) => !loaded.includes(one)).map((one) => one.script));
  const facts = loaded.map(({ host }) => host.facts);
  let users = 0;
  let successor: Generation | undefined;
  let settleUnused = () => {};
  const unused = new Promise<void>((resolve) => {
    settleUnused = resolve;
  });
  const leave = () => {
    if (users === 0 && successor !== undefined) settleUnused();
  };
  const end = async () => {
    await Promise.all([earlier, unused]);
    const ended = loaded.filter((one) => successor === generation || !successor?.loaded.includes(one));
    await Promise.all(ended.map(({ host }) => host.close()));
  };
  const generation: Generation = {
    // With a script that cannot be loaded nobody comes in; nobody is told that a password was wrong either.
    terms: {
      loaded: entries.length > 0,
      authNull: faults.length > 0 || facts.some(({ authNull }) => authNull),
      groupSelect: facts.some(({ groupSelect }) => groupSelect),
    },
    chain: loaded.map(({ script, host }) => ({
      name: script,
      host: replaced.has(script) && host.facts.synchronous ? afterOthers(host, earlier) : host,
    })),
    scripts: entries.map((entry) =>
      "host" in entry
        ? { name: entry.script, version: entry.version, facts: entry.host.facts, fault: null }
        : { name: entry.script, version: entry.version, facts: null, fault: entry.fault },
    ),
    faults,
    loaded,
    async use(run) {
      users += 1;
      try {
        return await run();
      } finally {
        users -= 1;
        leave();
      }
    },
    retire(next) {
      successor = next;
      leave();
    },
    async close() {
      successor = generation;
      leave();
      await generation.gone;
    },
    gone: Promise.resolve(),
  };
  generation.gone = end();
  return generation;
}

/** A SYNCHRONOUS script is never called twice at once, in two versions neither: the new one begins when the old is gone. */
function afterOthers(host: ScriptHost, othersGone: Promise<unknown> | undefined): ScriptHost {
  let others: Promise<unknown> | undefined = othersGone?.then(() => {
    others = undefined;
  });
  return {
    facts: host.facts,
    close: () => host.close(),
    async call(call) {
      if (others === undefined) return host.call(call);
      const started = performance.now();
      let timer: NodeJS.Timeout | undefined;
      const deadline = new Promise((resolve) => {
        timer = setTimeout(resolve, call.deadlineMs);
      });
      await Promise.race([others, deadline]);
      clearTimeout(timer);
      const waitedMs = performance.now() - started;
      if (others === undefined) return host.call({ ...call, deadlineMs: Math.max(1, call.deadlineMs - waitedMs) });
      return { outcome: "too-busy", printed: "", durationMs: waitedMs };
    },
  };
}
