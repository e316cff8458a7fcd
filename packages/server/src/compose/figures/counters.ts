import { Counter, collectDefaultMetrics, Histogram, Registry } from "prom-client";

const ns = "sallyport_";
/** From a lookup in memory to a person who looks for their telephone. */
const attemptBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const hookBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export type Counters = ReturnType<typeof createCounters>;

/** What only goes up, with labels of few values: codes of the error table, names of the configuration. */
export function createCounters() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name: `${ns}${name}`, help, labelNames: [...labelNames], registers });
  return {
    registry,
    attempts: counter(
      "attempts_total",
      "Passes through the auth pipeline by what they came to; code is empty unless denied.",
      ["kind", "outcome", "code"],
    ),
    attemptSeconds: new Histogram({
      name: `${ns}attempt_duration_seconds`,
      help: "How long the auth pipeline took, scripts included.",
      labelNames: ["outcome"],
      buckets: attemptBuckets,
      registers,
    }),
    refusedAfterwards: counter(
      "refused_afterwards_total",
      "Attempts that were allowed and came to nothing: a hook said no, no address was free, the client had gone.",
      ["code"],
    ),
    admitted: counter("connections_admitted_total", "Connections that were let in.", []),
    ended: counter("connections_ended_total", "Connections that ended, refused ones too, by reason.", ["reason"]),
    hookSeconds: new Histogram({
      name: `${ns}hook_duration_seconds`,
      help: "How long telling a hook took, whatever it answered.",
      labelNames: ["hook", "event"],
      buckets: hookBuckets,
      registers,
    }),
    hookFailures: counter(
      "hook_failures_total",
      "Tellings that a hook did not say yes to: no, or why there was no answer (missing, timed-out, crashed, unreachable).",
      ["hook", "event", "failure"],
    ),
    /** By script, of hosts that are closed. */
    closedWorkerDeaths: new Map<string, number>(),
  };
}
