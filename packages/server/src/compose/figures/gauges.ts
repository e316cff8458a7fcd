import { setTimeout as pause } from "node:timers/promises";
import { Counter, Gauge, type Registry } from "prom-client";
import { version } from "../../core/version.ts";
import type { ScriptHost } from "../../runner/runner.ts";
import type { FigureStore } from "../../store/store.ts";

/** Where what stands at this moment is read. */
export type Watched = {
  store: FigureStore;
  nodeNumber: number;
  /** Servers of VPN daemons, and whether each is attached. */
  listeners(): readonly { profileId: string; listener: string; up: boolean }[];
  /** Processes that start programs. */
  spawners(): number;
  /** People are let in. */
  ready(): Promise<boolean>;
};

const ns = "sallyport_";
/** An administrator may have thousands; beyond so many the smallest are counted together. */
const mostGroups = 100;
export const otherGroups = "(others)";

/** `hosts`: those that live, with their scripts' names; `closedDeaths`: of those that do not any more, by script. */
export function createGauges(
  registry: Registry,
  { hosts, closedDeaths }: { hosts: ReadonlyMap<ScriptHost, string>; closedDeaths: ReadonlyMap<string, number> },
) {
  const registers = [registry];
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Gauge({ name: `${ns}${name}`, help, labelNames: [...labelNames], registers });
  const build = gauge("build_info", "1, with what runs.", ["version", "node"]);
  build.set({ version, node: process.versions.node }, 1);
  const ready = gauge("ready", "1 while people are let in, as /readyz says.", []);
  const storeUp = gauge("store_up", "1 while the database answers; without it, what it counts is left out.", []);
  const connections = gauge("connections", "Connections that have not ended, by state and by whose they are.", [
    "profile",
    "protocol",
    "group",
    "state",
  ]);
  const deliveries = gauge("deliveries", "Deliveries that are not done: waiting, running, or failed (given up).", [
    "hook",
    "state",
  ]);
  const oldest = gauge("delivery_oldest_seconds", "Age of the oldest delivery that waits.", ["hook"]);
  const listenerUp = gauge(
    "listener_up",
    "1 while the VPN daemon of a listener, or a WireGuard interface, is attached.",
    ["profile", "listener"],
  );
  const workers = gauge("script_workers", "Processes of a script, by whether a call is under way in them.", [
    "script",
    "state",
  ]);
  const waiting = gauge("script_calls_waiting", "Calls of a script that wait for a process.", ["script"]);
  const spawners = gauge("program_spawners", "Processes that start programs; they are made when one is needed.", []);
  const deaths = new Counter({
    name: `${ns}script_worker_deaths_total`,
    help: "Processes of a script that ended without being told to; each was replaced.",
    labelNames: ["script"],
    registers,
  });

  const askStore = async ({ store, nodeNumber }: Watched): Promise<void> => {
    const [open, undone] = await Promise.all([store.connections(nodeNumber), store.deliveries()]);
    const named = largestGroups(open);
    connections.reset();
    for (const { profileId: profile, protocol, group, state, count } of open) {
      const shown = group === null ? "" : named.has(group) ? group : otherGroups;
      connections.inc({ profile, protocol, group: shown, state }, count);
    }
    deliveries.reset();
    oldest.reset();
    for (const { hook, state, count, oldestCreatedAt } of undone) {
      deliveries.set({ hook, state }, count);
      if (state === "waiting") oldest.set({ hook }, Math.max(0, (Date.now() - Date.parse(oldestCreatedAt)) / 1_000));
    }
  };

  return {
    /** Brings every gauge up to date. Never rejects. */
    async ask(watched: Watched, deadlineMs: number): Promise<void> {
      listenerUp.reset();
      for (const { profileId, listener, up } of watched.listeners())
        listenerUp.set({ profile: profileId, listener }, up ? 1 : 0);
      workers.reset();
      waiting.reset();
      deaths.reset();
      for (const [script, count] of closedDeaths) deaths.inc({ script }, count);
      for (const [host, script] of hosts) {
        const load = host.load?.();
        if (load === undefined) continue;
        workers.inc({ script, state: "busy" }, load.busy);
        workers.inc({ script, state: "idle" }, load.workers - load.busy);
        waiting.inc({ script }, load.waiting);
        deaths.inc({ script }, load.deaths);
      }
      spawners.set(watched.spawners());
      const inTime = <Result>(work: Promise<Result>) =>
        Promise.race([work, pause(deadlineMs, undefined, { ref: false })]);
      const [stored, isReady] = await Promise.all([
        inTime(askStore(watched).then(() => true)).catch(() => false),
        inTime(watched.ready()).catch(() => false),
      ]);
      storeUp.set(stored === true ? 1 : 0);
      ready.set(isReady === true ? 1 : 0);
      if (stored !== true) for (const one of [connections, deliveries, oldest]) one.reset();
    },
  };
}

function largestGroups(open: Awaited<ReturnType<FigureStore["connections"]>>): Set<string> {
  const sizes = new Map<string, number>();
  for (const { group, count } of open) if (group !== null) sizes.set(group, (sizes.get(group) ?? 0) + count);
  const largest = [...sizes].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, mostGroups);
  return new Set(largest.map(([group]) => group));
}
