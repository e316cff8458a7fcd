import type { Log } from "../core/log.ts";
import type { LoadScript, ProgramRunner } from "../runner/runner.ts";
import type { GraceMs, Store } from "../store/store.ts";
import { DeliveryWorker } from "./deliveries.ts";
import type { NodeFacts } from "./event.ts";
import { createHookOperations, type HookOperations } from "./operations.ts";
import { HookSlots } from "./slots.ts";
import type { BoundHook } from "./tell.ts";
import { createVetoes, type Vetoes } from "./veto.ts";

export type Hooks = {
  vetoes: Vetoes;
  /**
   * Names of hooks whose connect is queued when a connection is admitted. A hook for disconnects alone is among them:
   * its connect delivery is finished without telling it anything, and is why the ledger queues it the disconnect.
   */
  observers(): string[];
  /** Names of hooks that want to hear of the end, or must have it noted for their grace period. */
  subscribers(): string[];
  /** Hooks that have a grace period. */
  graceMs(): GraceMs;
  /** The time that asking every veto hook may take at most. */
  longestVetoMs(): number;
  /** To be called once, before anybody is let in. Rejects where the store does. */
  start(): Promise<void>;
  /** Deliveries were queued: sends them at once. */
  wake(): void;
  /**
   * To be called first when the server stops: ends the questions under way, so that nobody waits for them; whoever was
   * asked about is not let in.
   */
  endVetoes(): void;
  /** Delivers what is due, within the time given; the rest waits in the store. Programs still running are ended. */
  stop(deadlineMs: number): Promise<void>;
  /** Takes the hooks of a configuration read again; what is under way goes on as it began. */
  replace(hooks: readonly BoundHook[]): void;
  operations: HookOperations;
};

export type HooksOptions = {
  /** In the order vetoes are asked. */
  hooks: readonly BoundHook[];
  store: Pick<Store, "ledger" | "deliveries">;
  /** Checks and dry-runs programs. */
  runner: ProgramRunner;
  /** Checks modules; without it they are looked at as programs are. */
  loadModule?: LoadScript;
  node: NodeFacts;
  log: Log;
  /** Over all hooks, beside each one's `concurrency`: deliveries under way, and questions to one hook that wait. */
  bounds?: { deliveries: number; waiting: number };
  /** Milliseconds since 1970. */
  clock?: () => number;
};

/** So many that dozens of hooks would have to hang at once to hold up another. */
const usualBounds = { deliveries: 256, waiting: 10_000 };

/** The hooks of one configuration: who is asked, who is told, and the telling. */
export function createHooks(options: HooksOptions): Hooks {
  const { store, runner, node, log, bounds = usualBounds, clock = Date.now } = options;
  let configured = options.hooks;
  const hooks = () => configured;
  const stopped = new AbortController();
  const slots = new HookSlots(bounds);
  const worker = new DeliveryWorker({ hooks, store, node, slots, atOnce: bounds.deliveries, clock, log });
  const wake = () => worker.wake();
  const shared = { hooks, store, node, abort: stopped.signal, wake, clock };
  const namesOf = (chosen: (hook: BoundHook) => boolean) => configured.filter(chosen).map(({ terms }) => terms.name);
  const isAsked = ({ terms }: BoundHook) => terms.veto && terms.events.includes("connect");
  return {
    vetoes: createVetoes({ ...shared, slots, log }),
    observers: () => namesOf((hook) => !isAsked(hook)),
    subscribers: () => namesOf(({ terms }) => terms.events.includes("disconnect") || terms.graceMs > 0),
    graceMs: () =>
      Object.fromEntries(
        configured.filter((hook) => hook.terms.graceMs > 0).map(({ terms }) => [terms.name, terms.graceMs]),
      ),
    longestVetoMs: () => configured.filter(isAsked).reduce((sum, { terms }) => sum + terms.deadlineMs, 0),
    start: () => worker.start(),
    wake,
    endVetoes: () => stopped.abort(),
    stop: async (deadlineMs) => {
      await worker.stop(deadlineMs);
      stopped.abort();
    },
    replace: (replacement) => {
      configured = replacement;
      worker.wake();
    },
    operations: createHookOperations({ ...shared, runner, loadModule: options.loadModule }),
  };
}
