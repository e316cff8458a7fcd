import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";
import { until } from "../../../server/test/waiting.ts";
import { checkoutSnapshot, installedSnapshotName } from "../../src/python/assets.ts";
import { bundlePrograms, layAgent } from "./bundle-for-wine.ts";

const checkout = resolve(import.meta.dirname, "../../../..");
const [loader, server] = ["/usr/lib/wine/wine64", "/usr/lib/wine/wineserver64"];
const usualDeadlineMs = 120_000;

type RunOptions = {
  /** Beside what Windows itself sets. */
  environment?: Readonly<Record<string, string>>;
  input?: string | Buffer;
  cwd?: string;
};

export type WineChild = {
  pid: number;
  /** What it has said so far, on standard output and then on standard error. */
  output(): string;
  /** Undefined while it runs. */
  exited(): { status: number | null; signal: string | null } | undefined;
  /** Ends it as TerminateProcess does, and nothing that it started. */
  kill(): Promise<void>;
};

/** Status and output of a program that has ended. */
export type Ended = { status: number | null; stdout: Buffer; stderr: Buffer; said: string };

/**
 * A Windows of a test's own (a Wine prefix, set to Windows 10) with a Node for Windows and the agent. What runs in it is
 * root's, who is an administrator there. `Z:` is this machine's `/`.
 */
export type Wine = AsyncDisposable & {
  /** Where `C:` is on this machine. */
  drive: string;
  /** Node for Windows, and the agent's program, as Windows names them. */
  node: string;
  agentProgram: string;
  /** Runs a program to its end; by a path of Windows, or a name that Windows finds. */
  run(program: string, args: readonly string[], options?: RunOptions & { deadlineMs?: number }): Promise<Ended>;
  /** Starts one that goes on; ended with everything else at the latest. */
  start(program: string, args: readonly string[], options?: RunOptions): Promise<WineChild>;
  /** Runs the agent to its end. */
  agent(args: readonly string[], options?: RunOptions & { deadlineMs?: number }): Promise<Ended>;
  startAgent(args: readonly string[], options?: RunOptions): Promise<WineChild>;
  /** Lets the built-in Python start quickly. */
  hurryPython(): Promise<void>;
  /** What runs in it, with the words that it was started with. */
  processes(): Promise<{ pid: number; command: string }[]>;
  /** Bundles a module with what it imports of ours; gives the path by which `node` runs it. */
  bundle(entry: string): Promise<string>;
};

/** A path of this machine as Windows names it. */
export function onDriveZ(path: string): string {
  return `Z:${path.replaceAll("/", "\\")}`;
}

/**
 * Opens a Windows in a temporary directory. Disposed of, it ends everything that was started in it and leaves nothing.
 * `inside` is put around each command: a network namespace, for example, and then all of it is in that.
 */
export async function openWine(
  options: { inside?: (command: readonly string[]) => readonly string[] } = {},
): Promise<Wine> {
  const { inside = (command: readonly string[]) => command } = options;
  const execute = promisify(execFile);
  const parts = (await execute(join(checkout, "scripts/install-windows-parts"))).stdout.trim().split(" ");
  const [nodeDirectory = "", koffiLibrary = "", fresh = ""] = parts;
  const directory = await mkdtemp(join(tmpdir(), "wine-lab-"));
  const [prefix, agent, temporary] = [join(directory, "prefix"), join(directory, "agent"), join(directory, "tmp")];
  try {
    await mkdir(temporary);
    await copyPrefix(fresh, prefix);
    await layAgent(agent, koffiLibrary);
  } catch (error) {
    await rm(directory, { recursive: true });
    throw error;
  }

  const environment = {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: directory,
    TMPDIR: temporary,
    LANG: "C.UTF-8",
    WINEPREFIX: prefix,
    WINEDEBUG: "-all",
    WINEDLLOVERRIDES: "mscoree=;mshtml=;winemenubuilder.exe=",
    // By it a run that was killed is found and swept away.
    SALLYPORT_TEST_RUN: process.env.SALLYPORT_TEST_RUN ?? "",
  };
  const commandOf = (program: string, args: readonly string[]) => inside([loader, program, ...args]);
  /** Without pipes: what goes on in the background would hold them open. */
  const silently = ([program = "", ...args]: readonly string[]) =>
    new Promise((ended, failed) => {
      spawn(program, args, { env: environment, stdio: "ignore" }).once("error", failed).once("exit", ended);
    });
  // Between two programs it would end, and start anew with the next.
  await silently(inside([server, "-p"]));
  // The first brings Windows' services up.
  await silently(commandOf("cmd.exe", ["/c", "exit"]));

  const node = onDriveZ(join(nodeDirectory, "bin/node.exe"));
  const agentProgram = onDriveZ(join(agent, "installed.js"));
  let count = 0;
  /** Files, because Node's pipes are sockets, which Wine's programs cannot read. */
  async function spawned(program: string, args: readonly string[], { environment: more, input, cwd }: RunOptions) {
    const own = ++count;
    const file = (name: string) => join(temporary, `${own}.${name}`);
    await writeFile(file("in"), input ?? "");
    const [stdin, stdout, stderr] = [openSync(file("in"), "r"), openSync(file("out"), "w"), openSync(file("err"), "w")];
    const [first = "", ...rest] = commandOf(program, args);
    const child = spawn(first, rest, {
      cwd: cwd ?? directory,
      env: { ...environment, ...more },
      stdio: [stdin, stdout, stderr],
    });
    for (const descriptor of [stdin, stdout, stderr]) closeSync(descriptor);
    const ended = new Promise<void>((resolve, reject) => child.once("error", reject).once("exit", () => resolve()));
    ended.catch(() => undefined);
    await once(child, "spawn");
    return { child, ended, read: (name: "out" | "err") => readFileSync(file(name)) };
  }
  const run: Wine["run"] = async (program, args, { deadlineMs = usualDeadlineMs, ...options } = {}) => {
    const { child, ended, read } = await spawned(program, args, options);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, deadlineMs);
    await ended.finally(() => clearTimeout(timer));
    const [stdout, stderr] = [read("out"), read("err")];
    if (late) throw new Error(`${program} did not end within ${deadlineMs} ms; it said:\n${stdout}${stderr}`);
    return { status: child.exitCode, stdout, stderr, said: `${stdout}${stderr}` };
  };
  const start: Wine["start"] = async (program, args, options = {}) => {
    const { child, ended, read } = await spawned(program, args, options);
    const running = () => child.exitCode === null && child.signalCode === null;
    return {
      pid: child.pid as number,
      output: () => `${read("out")}${read("err")}`,
      exited: () => (running() ? undefined : { status: child.exitCode, signal: child.signalCode }),
      kill: async () => {
        child.kill("SIGKILL");
        await ended;
      },
    };
  };
  const bundle: Wine["bundle"] = async (entry) => {
    const name = basename(entry).replace(/\.\w+$/, "");
    await bundlePrograms({ [name]: entry }, join(agent, "programs"));
    return onDriveZ(join(agent, "programs", `${name}.js`));
  };
  return {
    drive: join(prefix, "drive_c"),
    node,
    agentProgram,
    run,
    start,
    bundle,
    agent: (args, more) => run(node, [agentProgram, ...args], more),
    startAgent: (args, more) => start(node, [agentProgram, ...args], more),
    processes: () => processesIn(prefix),
    async hurryPython() {
      const program = await bundle(join(import.meta.dirname, "programs/make-snapshot.ts"));
      // Made once in a checkout, for this version of Python in this Node.
      const kept = join(nodeDirectory, basename(checkoutSnapshot()));
      if (!existsSync(kept)) {
        const unnamed = join(directory, "snapshot");
        const { said } = await run(node, [program, onDriveZ(unnamed)]);
        if (!existsSync(unnamed)) throw new Error(said);
        await cp(unnamed, `${kept}.${process.pid}`);
        await rename(`${kept}.${process.pid}`, kept);
      }
      await symlink(kept, join(agent, installedSnapshotName));
    },
    async [Symbol.asyncDispose]() {
      await silently([server, "-k"]);
      await until("all programs of this Windows to end", async () => (await processesIn(prefix)).length === 0, {
        otherwise: () => prefix,
      }).finally(async () => {
        for (const { pid } of await processesIn(prefix)) process.kill(pid, "SIGKILL");
        await rm(directory, { recursive: true, force: true, maxRetries: 5 });
      });
    },
  };
}

/** Everything but the 700 MB of Windows' own files, which are linked. */
async function copyPrefix(from: string, to: string): Promise<void> {
  const windows = join(from, "drive_c/windows");
  await cp(from, to, { recursive: true, verbatimSymlinks: true, filter: (path) => path !== windows });
  await linkTree(windows, join(to, "drive_c/windows"));
}

async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await linkTree(source, target);
    else await symlink(source, target);
  }
}

async function processesIn(prefix: string): Promise<{ pid: number; command: string }[]> {
  const found: { pid: number; command: string }[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const read = (file: string) => readFile(`/proc/${entry}/${file}`, "utf8").catch(() => "");
    if (!(await read("environ")).split("\0").includes(`WINEPREFIX=${prefix}`)) continue;
    found.push({ pid: Number(entry), command: (await read("cmdline")).replaceAll("\0", " ") });
  }
  return found;
}
