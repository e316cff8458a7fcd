import type { Registry } from "prom-client";
import type { AttemptRecord } from "../../core/attempt.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { BoundHook } from "../../hooks/tell.ts";
import type { Loaders } from "../../post-auth/loaders.ts";
import type { LoadScript, ScriptHost } from "../../runner/runner.ts";
import type { Ledger, Store } from "../../store/store.ts";
import { type Counters, createCounters } from "./counters.ts";
import { createGauges, type Watched } from "./gauges.ts";

/** What the daemon counts of itself, and the text that Prometheus reads. */
export type Figures = {
  registry: Registry;
  attempt(attempt: AttemptRecord): void;
  /** An attempt that the pipeline allowed came to nothing. */
  refusedAfterwards(code: ErrorCode): void;
  /** The same, counting what goes through it. */
  watchHook(hook: BoundHook): BoundHook;
  watchStore(store: Store): Store;
  watchLoaders(loaders: Loaders): Loaders;
  /** In Prometheus' text format. What the database would have said is left out while it does not answer. */
  text(watched: Watched): Promise<string>;
};

const scrapeDeadlineMs = 8_000;

/** Everything is counted in the process and costs nobody a wait; gauges are asked for when somebody reads them. */
export function createFigures(): Figures {
  const counters = createCounters();
  const hosts = new Map<ScriptHost, string>();
  const gauges = createGauges(counters.registry, { hosts, closedDeaths: counters.closedWorkerDeaths });
  let reading: Promise<string> | undefined;
  const read = async (watched: Watched) => {
    await gauges.ask(watched, scrapeDeadlineMs);
    return await counters.registry.metrics();
  };
  return {
    registry: counters.registry,
    attempt({ kind, outcome, code, durationMs }) {
      counters.attempts.inc({ kind, outcome, code: code ?? "" });
      counters.attemptSeconds.observe({ outcome }, durationMs / 1_000);
    },
    refusedAfterwards: (code) => counters.refusedAfterwards.inc({ code }),
    watchHook: (hook) => watchHook(hook, counters),
    watchStore: (store) => ({ ...store, ledger: watchLedger(store.ledger, counters) }),
    watchLoaders(loaders) {
      const watch = (load: LoadScript) => watchLoader(load, { hosts, counters });
      return Object.fromEntries(Object.entries(loaders).map(([language, load]) => [language, load && watch(load)]));
    },
    // However many read at once, the database is asked once.
    text: async (watched) => {
      reading ??= read(watched).finally(() => {
        reading = undefined;
      });
      return await reading;
    },
  };
}

function watchHook(hook: BoundHook, { hookSeconds, hookFailures }: Counters): BoundHook {
  const { name } = hook.terms;
  return {
    ...hook,
    tell: async (event, options) => {
      const labels = { hook: name, event: event.event === "C" ? "connect" : "disconnect" };
      const begun = performance.now();
      const seconds = () => (performance.now() - begun) / 1_000;
      try {
        const telling = await hook.tell(event, options);
        hookSeconds.observe(labels, seconds());
        const { answer, failure } = telling;
        if (answer !== "yes") hookFailures.inc({ ...labels, failure: answer === "no" ? "no" : (failure ?? "crashed") });
        return telling;
      } catch (error) {
        hookSeconds.observe(labels, seconds());
        hookFailures.inc({ ...labels, failure: "crashed" });
        throw error;
      }
    },
  };
}

function watchLedger(ledger: Ledger, { admitted, ended }: Counters): Ledger {
  return {
    ...ledger,
    async reserve(reservation) {
      const reserved = await ledger.reserve(reservation);
      if (reserved.replaced.length > 0) ended.inc({ reason: "replaced" }, reserved.replaced.length);
      return reserved;
    },
    async admit(id, admission) {
      const done = await ledger.admit(id, admission);
      if (done) admitted.inc();
      return done;
    },
    async end(id, end) {
      const done = await ledger.end(id, end);
      if (done) ended.inc({ reason: end.reason });
      return done;
    },
  };
}

function watchLoader(
  load: LoadScript,
  { hosts, counters }: { hosts: Map<ScriptHost, string>; counters: Counters },
): LoadScript {
  return async (script) => {
    const outcome = await load(script);
    if (!("host" in outcome)) return outcome;
    const { host } = outcome;
    hosts.set(host, script.name);
    const close = host.close.bind(host);
    host.close = async () => {
      await close();
      hosts.delete(host);
      const deaths = host.load?.().deaths ?? 0;
      if (deaths > 0)
        counters.closedWorkerDeaths.set(script.name, (counters.closedWorkerDeaths.get(script.name) ?? 0) + deaths);
    };
    return outcome;
  };
}
