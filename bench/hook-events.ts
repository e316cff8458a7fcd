/*
 * Connects put to a veto script a second, and how long one takes, through the whole arrow: lifecycle, ledger in SQLite
 * with every commit on the disk, the script's own process. Against a python3 that does nothing but posix_spawn the same
 * script and wait for it. Credentials are not checked and the VPN daemon is played: what is measured is the hook and
 * what must be written down around it. Beside it, how long the daemon's event loop stands still.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { promisify } from "node:util";
import { Connections } from "../packages/server/src/connections/connections.ts";
import { parseRange } from "../packages/server/src/core/address-range.ts";
import { newId } from "../packages/server/src/core/id.ts";
import type { AccessRequest, Tunnel } from "../packages/server/src/core/vpn-event.ts";
import type { Driver } from "../packages/server/src/drivers/driver.ts";
import { createHooks } from "../packages/server/src/hooks/dispatch.ts";
import { scriptHook } from "../packages/server/src/hooks/kinds/script.ts";
import { createLifecycle } from "../packages/server/src/lifecycle.ts";
import { createProgramRunner } from "../packages/server/src/runner/programs/program-runner.ts";
import { openSqlite } from "../packages/server/src/store/sqlite.ts";
import { inParallel } from "../packages/server/test/e2e/lab/waiting.ts";
import { inTurns, median, numberOption, quantile, ratio, shown } from "./figures.ts";

const rounds = numberOption("rounds", 7);
const events = numberOption("events", 400);
const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error };

const spawnLoop = `
import os, sys, time
path, count, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **{f"VPN_{i}": f"the value of {i}" for i in range(13)}, "VPN_EVENT": "C"}
started = ended = 0
begun = time.perf_counter()
while ended < count:
    while started < count and started - ended < width:
        os.posix_spawn(path, [path], environment)
        started += 1
    if os.waitpid(-1, 0)[1] != 0: sys.exit("the script failed")
    ended += 1
print(count / (time.perf_counter() - begun))
`;

const directory = await mkdtemp(join(tmpdir(), "hook-events-"));
const script = join(directory, "hook.sh");
await writeFile(script, '#!/bin/sh\n[ "$VPN_EVENT" = C ] || exit 1\nexit 0\n', { mode: 0o755 });
const daemon = await startDaemon();

const latencies = new Map<number, number[]>();
for (const width of [1, 8]) {
  await daemon.connects(100, width);
  latencies.set(width, []);
  const { ours, bare } = await inTurns(rounds, {
    ours: async () => {
      const { rate, took } = await daemon.connects(events, width);
      latencies.get(width)?.push(...took);
      return rate;
    },
    bare: () => bareLoop(width),
  });
  const took = latencies.get(width) ?? [];
  console.log(
    `${width} at once: ${shown(median(ours))} connects/s, p50 ${shown(quantile(took, 0.5))} ms, p99 ${shown(quantile(took, 0.99))} ms; posix_spawn loop ${shown(median(bare))}/s`,
  );
  const expected = width === 8 ? { atLeast: 0.5 } : {};
  ratio(`  connects against a posix_spawn loop, ${width} at once`, median(ours) / median(bare), expected);
}
await blockedTime();
await daemon.close();
await rm(directory, { recursive: true });

async function bareLoop(width: number): Promise<number> {
  const { stdout } = await promisify(execFile)("/usr/bin/python3", [
    ...["-I", "-S", "-c", spawnLoop],
    ...[script, String(events), String(width)],
  ]);
  return Number(stdout);
}

/** One connect at a time, and how late a timer of a millisecond comes while it is under way, against doing nothing. */
async function blockedTime(): Promise<void> {
  const idle = await delays(() => new Promise((resolve) => setTimeout(resolve, 2_000)));
  const busy = await delays(() => daemon.connects(events * 2, 1));
  const blocked = busy.p99 - idle.p99;
  console.log(
    `event loop: a 1 ms timer p50 ${shown(busy.p50)} ms, p99 ${shown(busy.p99)} ms; doing nothing p99 ${shown(idle.p99)} ms`,
  );
  ratio("  milliseconds of blocked event loop a hook, p99", Math.max(0, blocked), { atMost: 1 });
}

async function delays(work: () => Promise<unknown>): Promise<{ p50: number; p99: number }> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  await work();
  histogram.disable();
  return { p50: histogram.percentile(50) / 1e6, p99: histogram.percentile(99) / 1e6 };
}

/** The daemon's own parts between a VPN daemon's question and our answer. */
async function startDaemon() {
  const store = await openSqlite({ file: join(directory, "sallyport.db") });
  const runner = createProgramRunner({ log: quiet });
  const target = { path: script, account: undefined, legacyVariableNames: false, workingDirectory: directory };
  const hooks = createHooks({
    hooks: [
      {
        terms: {
          name: "veto",
          events: ["connect"],
          veto: true,
          deadlineMs: 30_000,
          onFailure: "deny",
          showOutput: false,
          concurrency: 64,
          graceMs: 0,
          retry: { attempts: 1, firstWaitMs: 10, longestWaitMs: 10 },
        },
        tell: scriptHook(target, { runner, home: directory }),
        target: script,
      },
    ],
    store,
    runner,
    node: { number: 0, url: "https://vpn.example.org", hostName: "vpn.example.org" },
    log: quiet,
  });
  const answered = new Map<string, (how: string) => void>();
  const answer = (tunnel: Tunnel, how: string) => answered.get(tunnel.key)?.(how);
  const driver: Driver = {
    start: async () => {},
    stop: async () => {},
    admit: async (tunnel) => answer(tunnel, "admitted"),
    refuse: async (tunnel, { reason }) => answer(tunnel, reason),
    challenge: async () => {},
    answer: () => false,
    announceWait: async () => {},
    disconnect: async () => {},
  };
  const range = parseRange("10.0.0.0/12") ?? null;
  const profile = { id: "office", ranges: { ipv4: range, ipv6: null }, routes: [], dns: [], sessionExpiryMs: null };
  const passage = {
    admission: () => ({ ipv4: null, ipv6: null, routes: [], dns: [] }),
    open: async () => {},
    close: async () => {},
  };
  const connections = new Connections({
    ledger: store.ledger,
    driver,
    nodeNumber: 0,
    profile: () => profile,
    groupSubnets: async () => [],
    passage,
    hooks,
    queued: hooks.wake,
    log: quiet,
  });
  const lifecycle = createLifecycle({
    pipeline: {
      decide: async ({ username = "" }) => ({
        outcome: "allow",
        attemptId: newId(),
        userId: username,
        authMethod: "local",
        reason: "not checked here",
        properties: {},
        group: null,
        save: {},
        session: null,
      }),
    },
    connections,
    passage,
    vetoes: hooks.vetoes,
    driver,
    reconcile: async () => {},
    changedMeanwhile: async () => null,
    ticketFor: async () => null,
    keepSession: async () => {},
    refusedAfterwards: async () => {},
    longestWaitMs: async () => 0,
    mostAttempts: 1_000,
    log: quiet,
  });
  await hooks.start();

  let last = 0;
  const connect = async (): Promise<number> => {
    const tunnel = { profileId: "office", listener: "udp/1194", key: String(++last) };
    const { promise, resolve } = Promise.withResolvers<string>();
    answered.set(tunnel.key, resolve);
    const begun = performance.now();
    lifecycle.events.asked(requestOf(tunnel));
    const how = await promise;
    const took = performance.now() - begun;
    answered.delete(tunnel.key);
    if (how !== "admitted") throw new Error(how);
    up.push(tunnel);
    return took;
  };
  const up: Tunnel[] = [];

  return {
    async connects(count: number, width: number): Promise<{ rate: number; took: number[] }> {
      const begun = performance.now();
      const took = await inParallel(new Array(count).fill(undefined), width, connect);
      const rate = (count * 1_000) / (performance.now() - begun);
      for (const tunnel of up.splice(0)) lifecycle.events.gone(tunnel, { bytesIn: 1, bytesOut: 1 });
      await lifecycle.settled();
      return { rate, took };
    },
    async close() {
      await hooks.stop(5_000);
      await store.close();
    },
  };
}

function requestOf(tunnel: Tunnel): AccessRequest {
  return {
    kind: "connect",
    tunnel,
    protocol: "openvpn",
    username: `user-${tunnel.key}`,
    password: undefined,
    certificate: undefined,
    clientAddress: "198.51.100.7",
    clientPort: 40_000,
    hardwareAddress: undefined,
    clientInfo: {},
    certificateFields: {},
  };
}
