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
import { scriptHook } from "../packages/server/src/hooks/kinds/script.ts";
import { createProgramRunner } from "../packages/server/src/runner/programs/program-runner.ts";
import { openSqlite } from "../packages/server/src/store/sqlite.ts";
import { inParallel } from "../packages/server/test/waiting.ts";
import { inTurns, median, numberOption, quantile, ratio, shown } from "./figures.ts";
import { cpuMs } from "./processes.ts";
import { hookTerms, quiet, simulatedDaemon } from "./simulated-daemon.ts";

const rounds = numberOption("rounds", 7);
const events = numberOption("events", 400);

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
print(count / (time.perf_counter() - begun), sum(os.times()[:4]))
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
await cpuTime();
await daemon.close();
await rm(directory, { recursive: true });

async function bareLoop(width: number): Promise<number> {
  return Number((await spawnLoopOutput(width)).split(" ")[0]);
}

/** Scripts a second, and processor time in seconds. */
async function spawnLoopOutput(width: number): Promise<string> {
  const { stdout } = await promisify(execFile)("/usr/bin/python3", [
    ...["-I", "-S", "-c", spawnLoop],
    ...[script, String(events), String(width)],
  ]);
  return stdout;
}

/** What processor time goes into: that does not depend on who else uses the machine. */
async function cpuTime(): Promise<void> {
  const own = process.cpuUsage();
  const spawners = daemon.spawnerPids();
  const before = await cpuMs(spawners);
  await daemon.connects(events * 2, 8);
  const { user, system } = process.cpuUsage(own);
  const [ours, theirs] = [(user + system) / 1_000, (await cpuMs(spawners)) - before].map((ms) => ms / events / 2);
  const stdout = await spawnLoopOutput(8);
  const bare = (Number(stdout.split(" ")[1]) * 1_000) / events;
  console.log(
    `processor time a connect: ${shown(ours ?? 0)} ms the daemon with its database thread, its end included; ${shown(theirs ?? 0)} ms the spawners and the script; a bare posix_spawn and the script ${shown(bare)} ms`,
  );
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

/** A daemon whose one hook is the script, as a veto. */
async function startDaemon() {
  const store = await openSqlite({ file: join(directory, "sallyport.db") });
  const runner = createProgramRunner({ log: quiet });
  const target = { path: script, account: undefined, legacyVariableNames: false, workingDirectory: directory };
  const tell = scriptHook(target, { runner, home: directory });
  const hook = { terms: hookTerms({ veto: true }), tell, target: script };
  const played = await simulatedDaemon({ store, runner, hook });
  return {
    async connects(count: number, width: number): Promise<{ rate: number; took: number[] }> {
      const begun = performance.now();
      const all = await inParallel(new Array(count).fill(undefined), width, played.connect);
      const rate = (count * 1_000) / (performance.now() - begun);
      for (const { tunnel } of all) played.gone(tunnel);
      await played.settled();
      return { rate, took: all.map(({ took }) => took) };
    },
    spawnerPids: runner.spawnerPids,
    close: played.close,
  };
}
