import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { chmod, mkdir, open, readdir, readFile, readlink, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SallyportError } from "../../core/errors.ts";
import { lastWords } from "../daemon-log.ts";
import { isRunning, type ProcessIdentity, startTimeOf } from "../running-process.ts";
import { answersAt, socketDirectory, socketOf } from "./uapi-device.ts";

/** From its start until its socket answers. */
const startDeadlineMs = 15_000;
const lookEveryMs = 25;

export const logOf = (directory: string) => join(directory, "wireguard-go.log");

export async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
}

/**
 * The wireguard-go that runs for an interface in our own network namespace, found by its command line: whoever started
 * it, and however that one ended. Names are unique on a machine only as long as everybody keeps to that.
 */
export async function findWireGuardGo(name: string): Promise<ProcessIdentity | undefined> {
  const here = await readlink("/proc/self/ns/net").catch(() => "");
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const pid = Number(entry);
    const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0").filter(Boolean);
    const program = basename(words[0] ?? "");
    if (!program.startsWith("wireguard-go") || words.at(-1) !== name) continue;
    const startTime = await startTimeOf(pid);
    if (startTime === undefined || (await readlink(`/proc/${pid}/ns/net`).catch(() => undefined)) !== here) continue;
    return { pid, startTime };
  }
  return undefined;
}

/**
 * Starts a wireguard-go that lives on when we end, even by SIGKILL: a session of its own, its output in a file. Resolves
 * when its socket answers.
 * @throws SallyportError `driver-failed` with its last words where it does not come up
 */
export async function startWireGuardGo(options: {
  name: string;
  directory: string;
  program: string;
}): Promise<ProcessIdentity> {
  const { name, directory, program } = options;
  const socketPath = socketOf(name);
  if (await answersAt(socketPath)) {
    const where = `another network namespace of this machine has a WireGuard interface named ${name}`;
    throw new SallyportError("driver-failed", `${where}: choose another name (wireguard.managed.interface)`);
  }
  // One that was killed leaves it behind.
  await rm(socketPath, { force: true });
  await mkdir(socketDirectory, { recursive: true, mode: 0o755 });
  const log = await open(logOf(directory), constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600);
  try {
    const child = spawn(program, ["-f", name], {
      cwd: directory,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8", LOG_LEVEL: "error" },
    });
    child.unref();
    const pid = await new Promise<number>((resolve, reject) => {
      child.once("spawn", () => resolve(child.pid as number));
      child.once("error", ({ message }) =>
        reject(
          new SallyportError(
            "driver-failed",
            `this kernel has no WireGuard, and ${program} cannot be started (${message}): install wireguard-go`,
          ),
        ),
      );
    });
    const startTime = await startTimeOf(pid);
    if (startTime === undefined) throw new SallyportError("driver-failed", await lastWordsOf(directory));
    const started = { pid, startTime };
    const end = Date.now() + startDeadlineMs;
    while (!(await answersAt(socketPath))) {
      if (!(await isRunning(started))) throw new SallyportError("driver-failed", await lastWordsOf(directory));
      if (Date.now() > end) {
        process.kill(pid, "SIGKILL");
        throw new SallyportError("driver-failed", `wireguard-go did not open ${socketPath} in ${startDeadlineMs} ms`);
      }
      await pause(lookEveryMs);
    }
    return started;
  } finally {
    await log.close();
  }
}

/** Its advice to use a kernel's module stands in a frame. */
export const lastWordsOf = (directory: string) =>
  lastWords({ program: "wireguard-go", log: logOf(directory), telling: (line) => !/^[│┌└]/.test(line) });
