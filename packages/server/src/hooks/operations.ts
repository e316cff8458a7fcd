import type { Connection } from "../core/connection.ts";
import { SallyportError } from "../core/errors.ts";
import type { Delivery, DeliveryState, HookEvent, HookTerms, Telling } from "../core/hook.ts";
import { newId } from "../core/id.ts";
import type { LoadScript, ProgramRunner } from "../runner/runner.ts";
import type { Store } from "../store/store.ts";
import { checkModule, isModule } from "./check/check-module.ts";
import { checkProgram } from "./check/check-program.ts";
import type { Finding } from "./check/finding.ts";
import { connectionEvent, type NodeFacts } from "./event.ts";
import { type BoundHook, tellSafely } from "./tell.ts";

/** A hook as it is listed; its name is its id. */
export type HookSummary = { id: string; target: string } & Omit<HookTerms, "name">;

/** How one synthetic event went. */
export type HookTrial = { hook: string; event: HookEvent; sessionId: string; eventId: string } & Telling;

/** What administrators do with hooks and their deliveries. */
export type HookOperations = {
  /** In the configured order. */
  list(): HookSummary[];
  /** Newest first. */
  deliveries(filter: {
    state?: DeliveryState;
    hook?: string;
    sessionId?: string;
    event?: HookEvent;
    limit: number;
  }): Promise<Delivery[]>;
  /** Nobody shall be told of what was given up, or still waits. Errors: `not-found`, `conflict`. */
  discard(id: string): Promise<Delivery>;
  /** Makes a delivery that was given up waiting again. Errors: `not-found`, `conflict`. */
  retry(id: string): Promise<Delivery>;
  /**
   * Tells a hook of a connection that never was (user `hook-test`, documentation addresses): its connect, then its
   * disconnect, as far as it wants them, or one of the two. Nothing is written down. Errors: `not-found`, `conflict`.
   */
  test(name: string, options?: { event?: HookEvent }): Promise<HookTrial[]>;
  /** Looks at a program or a module without running it. Empty: nothing found. */
  check(file: string): Promise<Finding[]>;
};

type Options = {
  hooks: () => readonly BoundHook[];
  store: Pick<Store, "deliveries">;
  runner: ProgramRunner;
  loadModule: LoadScript | undefined;
  node: NodeFacts;
  abort: AbortSignal;
  wake: () => void;
  clock: () => number;
};

export function createHookOperations(options: Options): HookOperations {
  const { deliveries } = options.store;
  return {
    list: () => options.hooks().map(({ terms: { name, ...terms }, target }) => ({ id: name, target, ...terms })),
    deliveries: (filter) => deliveries.list(filter),
    discard: async (id) => {
      const { state } = found(await deliveries.get(id), id);
      if (!(await deliveries.discard(id, new Date(options.clock()).toISOString())))
        throw new SallyportError(
          "conflict",
          `delivery ${id} is ${state}; only one that failed or waits can be discarded`,
        );
      options.wake();
      return found(await deliveries.get(id), id);
    },
    retry: async (id) => {
      await mayRetry(id, options);
      if (!(await deliveries.retry(id, new Date(options.clock()).toISOString())))
        throw new SallyportError("conflict", `delivery ${id} has not been given up; it cannot be retried`);
      options.wake();
      return found(await deliveries.get(id), id);
    },
    test: (name, { event } = {}) => tryOut(name, event, options),
    check: (file) => {
      const { loadModule, runner } = options;
      return loadModule && isModule(file) ? checkModule(file, loadModule) : checkProgram(file, runner);
    },
  };
}

function found(delivery: Delivery | undefined, id: string): Delivery {
  if (delivery === undefined) throw new SallyportError("not-found", `there is no delivery ${id}`);
  return delivery;
}

async function mayRetry(id: string, { store, hooks }: Options): Promise<void> {
  const delivery = found(await store.deliveries.get(id), id);
  const refuse = (why: string) => new SallyportError("conflict", `delivery ${id} ${why}`);
  if (delivery.state !== "failed") throw refuse(`is ${delivery.state}; only one that was given up can be retried`);
  if (delivery.veto) throw refuse("was a veto's question, and its connection has been decided without the answer");
  if (!hooks().some(({ terms }) => terms.name === delivery.hook))
    throw refuse(`is for hook ${delivery.hook}, which is not configured; configure it first`);
  if (delivery.event === "disconnect") return;
  const { sessionId, hook } = delivery;
  const [end] = await store.deliveries.list({ sessionId, hook, event: "disconnect", limit: 1 });
  if (end?.state === "done" || end?.state === "running")
    throw refuse("tells of a connect whose disconnect the hook has been told of already");
}

async function tryOut(name: string, only: HookEvent | undefined, options: Options): Promise<HookTrial[]> {
  const hook = options.hooks().find(({ terms }) => terms.name === name);
  if (hook === undefined) throw new SallyportError("not-found", `there is no hook ${name} in the configuration`);
  const wanted = (["connect", "disconnect"] as const).filter((event) => hook.terms.events.includes(event));
  const events = only === undefined ? wanted : wanted.filter((event) => event === only);
  if (events.length === 0) throw new SallyportError("conflict", `hook ${name} is not told of ${only}s (events)`);
  const connection = madeUp(options);
  const trials: HookTrial[] = [];
  for (const event of events) {
    const eventId = event === "connect" ? connection.connectEventId : connection.disconnectEventId;
    const told = connectionEvent({ connection, event, eventId, attempt: 1, node: options.node });
    const telling = await tellSafely(hook, told, {
      deadlineMs: hook.terms.deadlineMs,
      abort: options.abort,
      force: true,
    });
    trials.push({ hook: name, event, sessionId: connection.id, eventId, ...telling });
  }
  return trials;
}

/** Addresses for documentation (RFC 5737, RFC 3849), so that nobody real is let in or shut out. */
function madeUp({ node, clock }: Options): Connection {
  const at = (secondsAgo: number) => new Date(clock() - secondsAgo * 1_000).toISOString();
  return {
    id: newId(),
    userId: "hook-test",
    profileId: "hook-test",
    nodeNumber: node.number,
    listener: "hook-test",
    protocol: "openvpn",
    connectionId: "hook-test",
    tunnelKey: "hook-test",
    attemptId: newId(),
    ipv4: "192.0.2.10",
    ipv6: "2001:db8::10",
    originatingIp: "198.51.100.7",
    state: "ended",
    properties: {},
    group: null,
    connectEventId: newId(),
    disconnectEventId: newId(),
    reservedAt: at(61),
    admittedAt: at(61),
    establishedAt: at(60),
    expiresAt: null,
    endedAt: at(0),
    endReason: "client",
    endDetail: null,
    bytesIn: 12_345,
    bytesOut: 67_890,
  };
}
