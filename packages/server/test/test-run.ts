import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, readlink, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";

const execute = promisify(execFile);

/**
 * One run of the tests. Everything a run makes can be recognised: files lie in its directory (`TMPDIR`), namespaces
 * and interfaces begin with `namePrefix`, processes carry its variable, name its directory or live in its namespaces.
 */
export type TestRun = {
  id: string;
  /** Stands in for /tmp, with the same mode. */
  directory: string;
  /** Seven characters, which leaves eight for the rest of an interface name. */
  namePrefix: string;
};

const VARIABLE = "SALLYPORT_TEST_RUN";
const DIRECTORY_PREFIX = "sallyport-run-";
const CHECKOUT = resolve(import.meta.dirname, "../../..");

export function directoryOf(id: string, base: string): string {
  return join(base, DIRECTORY_PREFIX + id);
}

function runOf(id: string, base: string): TestRun {
  return { id, directory: directoryOf(id, base), namePrefix: `sp${id}` };
}

/** The run this process belongs to; a script outside of vitest begins one of its own. */
export function presentRun(): TestRun | undefined {
  const id = process.env[VARIABLE];
  const directory = process.env.TMPDIR;
  return id === undefined || directory === undefined ? undefined : { id, directory, namePrefix: `sp${id}` };
}

/** Sweeps away what interrupted and killed runs left behind. */
export async function sweepDeadRuns(base: string = tmpdir()): Promise<void> {
  for (const run of await otherRuns(base)) if (!run.alive) await sweep(run);
}

/** Begins a run, after sweeping away what others left behind. Child processes inherit it. */
export async function beginRun(): Promise<TestRun> {
  const base = tmpdir();
  await sweepDeadRuns(base);
  const run = runOf(randomBytes(4).readUInt32BE().toString(36).padStart(5, "0").slice(-5), base);
  // It appears with its owner in it, or another run beginning now would take it for a dead one.
  const unnamed = join(base, `.sallyport-new-${run.id}`);
  await mkdir(unnamed);
  await chmod(unnamed, 0o1777);
  await writeFile(join(unnamed, "owner"), await identity(process.pid));
  await rename(unnamed, run.directory);
  process.env[VARIABLE] = run.id;
  process.env.TMPDIR = run.directory;
  return run;
}

/** Parent and start time (in clock ticks since boot) of a process, from proc(5). */
async function status(pid: number): Promise<{ parent: number; startedAt: number }> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ").at(-1)?.split(" ") ?? [];
  return { parent: Number(fields[1]), startedAt: Number(fields[19]) };
}

/** A pid alone may be somebody else's by now; with the time it was started it is not. */
async function identity(pid: number): Promise<string> {
  return `${pid} ${(await status(pid)).startedAt}`;
}

async function otherRuns(base: string): Promise<(TestRun & { alive: boolean })[]> {
  const names = (await readdir(base)).filter((name) => name.startsWith(DIRECTORY_PREFIX));
  return Promise.all(
    names.map(async (name) => {
      const run = runOf(name.slice(DIRECTORY_PREFIX.length), base);
      const owner = await readFile(join(run.directory, "owner"), "utf8").catch(() => "");
      const now = await identity(Number(owner.split(" ")[0])).catch(() => undefined);
      return { ...run, alive: owner !== "" && owner === now };
    }),
  );
}

/**
 * Programs of this checkout that lost their parent since the run began. They may have been started with an
 * environment built from nothing, in a directory of their own, so that nothing else tells whose they are.
 */
async function orphans(): Promise<{ pid: number; command: string }[]> {
  const { startedAt: begun } = await status(process.pid);
  const found: { pid: number; command: string }[] = [];
  for (const pid of (await readdir("/proc")).map(Number).filter(Number.isInteger)) {
    const { parent, startedAt } = await status(pid).catch(() => ({ parent: 0, startedAt: 0 }));
    if (parent !== 1 || startedAt < begun) continue;
    const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0").join(" ").trim();
    if (command.includes(CHECKOUT)) found.push({ pid, command });
  }
  return found;
}

/** Whether another run is going on beside this one: then a new interface may be its, not ours. */
export async function runsBeside(run: TestRun): Promise<boolean> {
  const base = join(run.directory, "..");
  return (await otherRuns(base)).some((other) => other.alive && other.id !== run.id);
}

/** Names of the machine's network namespaces and of the interfaces in this one. */
export async function networkNames(): Promise<{ namespaces: string[]; interfaces: string[] }> {
  return {
    namespaces: existsSync("/run/netns") ? await readdir("/run/netns") : [],
    interfaces: await readdir("/sys/class/net"),
  };
}

async function processesOf(run: TestRun): Promise<{ pid: number; command: string }[]> {
  const spared = new Set<number>();
  for (let pid = process.pid; pid > 1; ) {
    spared.add(pid);
    pid = await status(pid).then(
      ({ parent }) => parent,
      () => 0,
    );
  }
  const inNamespaces = new Set<number>();
  for (const namespace of (await networkNames()).namespaces.filter((name) => name.startsWith(run.namePrefix))) {
    const { stdout } = await execute("ip", ["netns", "pids", namespace]).catch(() => ({ stdout: "" }));
    for (const pid of stdout.split("\n")) if (pid !== "") inNamespaces.add(Number(pid));
  }
  const found: { pid: number; command: string }[] = [];
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || spared.has(pid)) continue;
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const command = (await read("cmdline")).split("\0").join(" ").trim();
    // A zombie has no command line and needs nobody to end it; vitest's own workers and watchdog end with vitest.
    if (command === "" || command.includes("/vitest/dist/") || command.startsWith("vitest")) continue;
    const ours =
      inNamespaces.has(pid) ||
      command.includes(run.directory) ||
      (await read("environ")).split("\0").includes(`${VARIABLE}=${run.id}`) ||
      (await readlink(`/proc/${pid}/cwd`).catch(() => "")).startsWith(run.directory);
    if (ours) found.push({ pid, command });
  }
  return found;
}

/** What a run has left behind, in words, after giving processes a moment to finish dying. Empty when all is clean. */
export async function leftovers(run: TestRun, before?: Awaited<ReturnType<typeof networkNames>>): Promise<string[]> {
  let processes = await processesOf(run);
  for (let tries = 0; tries < 50 && processes.length > 0; tries++) {
    await wait(100);
    processes = await processesOf(run);
  }
  const network = await networkNames();
  const alone = before !== undefined && !(await runsBeside(run));
  const isNew = (name: string, then: readonly string[]) =>
    name.startsWith(run.namePrefix) || (alone && !then.includes(name));
  const files = (await readdir(run.directory).catch(() => [])).filter((name) => name !== "owner");
  return [
    ...[...processes, ...(alone ? await orphans() : [])].map(({ pid, command }) => `process ${pid}: ${command}`),
    ...network.namespaces.filter((n) => isNew(n, before?.namespaces ?? [])).map((n) => `network namespace ${n}`),
    ...network.interfaces.filter((n) => isNew(n, before?.interfaces ?? [])).map((n) => `network interface ${n}`),
    ...files.map((name) => `file ${join(run.directory, name)}`),
  ];
}

/** Removes everything that is known to be this run's: processes, namespaces, interfaces, files. */
export async function sweep(run: TestRun): Promise<void> {
  for (const { pid } of await processesOf(run)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself meanwhile.
    }
  }
  const network = await networkNames();
  for (const name of network.namespaces.filter((n) => n.startsWith(run.namePrefix))) {
    await execute("ip", ["netns", "delete", name]).catch(() => undefined);
  }
  for (const name of network.interfaces.filter((n) => n.startsWith(run.namePrefix))) {
    await execute("ip", ["link", "delete", name]).catch(() => undefined);
  }
  for (const directory of await mountsUnder(run.directory)) {
    await execute("umount", ["-l", directory]).catch(() => undefined);
  }
  await rm(run.directory, { recursive: true, force: true, maxRetries: 3 });
}

/** Disks that a test mounted, the innermost first. */
async function mountsUnder(directory: string): Promise<string[]> {
  const lines = (await readFile("/proc/self/mounts", "utf8")).split("\n");
  const places = lines.map((line) => line.split(" ")[1] ?? "");
  return places.filter((place) => place.startsWith(`${directory}/`)).reverse();
}
