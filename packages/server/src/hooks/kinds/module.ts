import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Telling } from "../../core/hook.ts";
import type { Log } from "../../core/log.ts";
import type { LoadScript, ScriptHost, ScriptReturn } from "../../runner/runner.ts";
import type { Tell } from "../tell.ts";

/** The modules of the hooks that are configured, each loaded once into a host of its own. */
export type Modules = {
  tell(path: string): Tell;
  /**
   * Loads what is new or has changed, and ends what is not among them any more. What cannot be loaded is logged; one
   * that was loaded before goes on as it was.
   */
  refresh(paths: readonly string[]): Promise<void>;
  close(): Promise<void>;
};

type Loaded = { host: ScriptHost; text: string } | { error: string; until: number };

/** What could not be loaded is not tried anew at each event. */
const faultKeptMs = 5_000;
const mostBytes = 1_048_576;

export function createModules({ load, log }: { load: LoadScript; log: Log }): Modules {
  const modules = new Map<string, Promise<Loaded>>();

  const loadNow = async (path: string): Promise<Loaded> => {
    const loaded = await loadModule(path, load);
    if (!("error" in loaded)) return loaded;
    log.error({ path, error: loaded.error }, "a hook module could not be loaded");
    return { ...loaded, until: performance.now() + faultKeptMs };
  };

  /** One loading at a time for each module; whoever comes meanwhile waits for the same. */
  const hostOf = async (path: string): Promise<Loaded> => {
    const present = modules.get(path);
    const loaded = await present;
    if (loaded !== undefined && ("host" in loaded || loaded.until > performance.now())) return loaded;
    if (modules.get(path) !== present) return hostOf(path);
    const loading = loadNow(path);
    modules.set(path, loading);
    return await loading;
  };

  const end = async (module: Promise<Loaded> | undefined) => {
    const loaded = await module;
    if (loaded && "host" in loaded) await loaded.host.close();
  };

  return {
    tell: (path) => async (event, options) => {
      const begun = performance.now();
      const leftMs = () => Math.max(1, Math.round(options.deadlineMs - (performance.now() - begun)));
      const { promise: stopped, resolve: stop } = Promise.withResolvers<"aborted">();
      const onAbort = () => stop("aborted");
      options.abort.addEventListener("abort", onAbort);
      if (options.abort.aborted) onAbort();
      const late = new AbortController();
      const inTime = wait(options.deadlineMs, "late" as const, { signal: late.signal }).catch(() => "late" as const);
      const called = hostOf(path).then(async (loaded): Promise<Outcome> => {
        if ("error" in loaded) return loaded;
        return await loaded.host.call({ arguments: { event }, deadlineMs: leftMs() });
      });
      try {
        const outcome = await Promise.race([called, stopped, inTime]);
        return tellingOf(outcome, path, Math.round(performance.now() - begun));
      } finally {
        late.abort();
        options.abort.removeEventListener("abort", onAbort);
      }
    },

    async refresh(paths) {
      const gone = [...modules].filter(([path]) => !paths.includes(path));
      for (const [path] of gone) modules.delete(path);
      const renewed = [...new Set(paths)].map(async (path) => {
        const before = modules.get(path);
        const loaded = await before;
        if (loaded && "host" in loaded && (await readModule(path)) === loaded.text) return;
        const loading = loadNow(path);
        // Until the new one is there, and where there will be none, the old one answers.
        if (loaded && "host" in loaded && "error" in (await loading)) return;
        modules.set(path, loading);
        await Promise.all([loading, end(before)]);
      });
      await Promise.all([...renewed, ...gone.map(([, module]) => end(module))]);
    },

    async close() {
      const all = [...modules.values()];
      modules.clear();
      await Promise.all(all.map(end));
    },
  };
}

/** The text of a module, or why it cannot be read. */
export async function readModule(path: string): Promise<string | { error: string }> {
  try {
    const { size } = await stat(path);
    if (size > mostBytes) return { error: `${path} is larger than ${mostBytes} bytes, which no hook module is` };
    return await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : String(error);
    return { error: `${path} cannot be read (${code}); put the module there or correct the path` };
  }
}

async function loadModule(
  path: string,
  load: LoadScript,
): Promise<{ host: ScriptHost; text: string } | { error: string }> {
  const text = await readModule(path);
  if (typeof text !== "string") return text;
  const failed = (why: string) => ({ error: `${path} cannot be loaded: ${why}` });
  try {
    const outcome = await load({ name: basename(path), text, entry: "defineHook" });
    if ("host" in outcome) return { host: outcome.host, text };
    const { line, message } = outcome.fault;
    return failed(line === null ? message : `line ${line}: ${message}`);
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error));
  }
}

type Outcome = ScriptReturn | { error: string } | "late" | "aborted";

function tellingOf(outcome: Outcome, path: string, durationMs: number): Telling {
  const failed = (failure: NonNullable<Telling["failure"]>, error: string, output = ""): Telling => {
    return { answer: "failed", failure, error, output, durationMs };
  };
  if (outcome === "aborted") return failed("crashed", `${path} was ended before it was done`);
  if (outcome === "late") return failed("timed-out", `${path} gave no answer in time`);
  if ("error" in outcome) return failed("missing", outcome.error);
  const { printed } = outcome;
  switch (outcome.outcome) {
    case "returned":
      return answerOf(outcome.value, path, { output: printed, durationMs });
    case "timed-out":
      return failed("timed-out", `${path} gave no answer in time`, printed);
    case "raised":
      return failed("crashed", `${path} threw: ${outcome.message}`, `${printed}${outcome.traceback}`);
    case "too-busy":
      return failed("timed-out", `${path} was not asked: too many events wait for it`, printed);
    default:
      return failed("crashed", `${path}: ${outcome.message}`, printed);
  }
}

/** The host has judged the shape; what a script could still have sent in its place is no answer. */
function answerOf(value: unknown, path: string, kept: Pick<Telling, "output" | "durationMs">): Telling {
  const { answer, reason, clientReason } = (value ?? {}) as Record<string, unknown>;
  if (answer === "yes") return { answer, failure: null, error: null, ...kept };
  if (answer !== "no" || typeof reason !== "string")
    return { answer: "failed", failure: "crashed", error: `${path} gave no answer that can be read`, ...kept };
  return {
    answer,
    failure: null,
    error: reason,
    clientReason: typeof clientReason === "string" ? clientReason : null,
    ...kept,
  };
}
