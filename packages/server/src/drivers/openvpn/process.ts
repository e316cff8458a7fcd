import { spawn } from "node:child_process";
import { constants, type Dirent } from "node:fs";
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SallyportError } from "../../core/errors.ts";
import { lastWords } from "../daemon-log.ts";
import { type ProcessIdentity, startTimeOf } from "../running-process.ts";

/** An openvpn of one listener. The fingerprint is that of the configuration it was started with. */
export type ServerProcess = ProcessIdentity & { fingerprint: string };

const configName = /^server-([0-9a-f]{16})\.conf$/;

/** The files of one listener, all in a directory that only its owner may enter: the socket lets in whoever reaches it. */
export function listenerFiles(directory: string) {
  return {
    socket: join(directory, "management.sock"),
    log: join(directory, "openvpn.log"),
    /** Which process was attached last. */
    attached: join(directory, "attached"),
    config: (fingerprint: string) => join(directory, `server-${fingerprint}.conf`),
  };
}

export async function makeListenerDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  const { socket } = listenerFiles(directory);
  // sockaddr_un holds 108 bytes with a final NUL.
  if (Buffer.byteLength(socket) > 107)
    throw new SallyportError("driver-failed", `${socket} is too long for a socket: choose a shorter dataDirectory`);
}

/**
 * Every running openvpn of a listener, found by the configuration file on its command line: whoever started it, and
 * however that one ended, even before it could write anything down.
 */
export async function findServers(directory: string): Promise<ServerProcess[]> {
  const found: ServerProcess[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const pid = Number(entry);
    const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    const config = words[words.indexOf("--config") + 1] ?? "";
    const name =
      words.includes("--config") && config.startsWith(`${directory}/`) ? config.slice(directory.length + 1) : "";
    const fingerprint = configName.exec(name)?.[1];
    if (fingerprint === undefined) continue;
    const startTime = await startTimeOf(pid);
    const owner = await stat(`/proc/${pid}`).catch(() => undefined);
    if (startTime !== undefined && owner?.uid === process.getuid?.()) found.push({ pid, startTime, fingerprint });
  }
  return found;
}

/**
 * Starts an openvpn that lives on when we end, even by SIGKILL: a session of its own, its output in a file.
 * @throws SallyportError `driver-failed` where the program cannot be started
 */
export async function startServer(options: {
  directory: string;
  program: string;
  config: string;
  fingerprint: string;
}): Promise<ServerProcess> {
  const { directory, fingerprint } = options;
  const files = listenerFiles(directory);
  const config = files.config(fingerprint);
  await writeFile(`${config}.new`, options.config, { mode: 0o600 });
  await rename(`${config}.new`, config);
  await removeOldConfigs(directory, fingerprint);
  const log = await open(files.log, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600);
  try {
    const child = spawn(options.program, ["--config", config], {
      cwd: directory,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" },
    });
    child.unref();
    const pid = await new Promise<number>((resolve, reject) => {
      child.once("spawn", () => resolve(child.pid as number));
      child.once("error", (error) =>
        reject(new SallyportError("driver-failed", `${options.program} cannot be started: ${error.message}`)),
      );
    });
    const startTime = await startTimeOf(pid);
    if (startTime === undefined) throw new SallyportError("driver-failed", await lastWordsOf(directory));
    return { pid, startTime, fingerprint };
  } finally {
    await log.close();
  }
}

async function removeOldConfigs(directory: string, present: string): Promise<void> {
  const entries: Dirent[] = await readdir(directory, { withFileTypes: true });
  for (const { name } of entries) {
    const fingerprint = configName.exec(name)?.[1];
    if (fingerprint !== undefined && fingerprint !== present) await rm(join(directory, name), { force: true });
  }
}

/** What it says while it clears up comes after why it ends. */
const clearingUp = / (?:Closing TUN\/TAP interface|net_\w+: |MANAGEMENT: )/;

export const lastWordsOf = (directory: string) =>
  lastWords({
    program: "openvpn",
    log: listenerFiles(directory).log,
    telling: (line) => !clearingUp.test(line),
  });

/** Remembers which process was attached, so that after our own end it is known to be the same one. */
export async function markAttached(directory: string, { pid, startTime }: ProcessIdentity): Promise<void> {
  const { attached } = listenerFiles(directory);
  await writeFile(`${attached}.new`, `${pid} ${startTime}\n`, { mode: 0o600 });
  await rename(`${attached}.new`, attached);
}

export async function wasAttached(directory: string, { pid, startTime }: ProcessIdentity): Promise<boolean> {
  const text = await readFile(listenerFiles(directory).attached, "utf8").catch(() => "");
  return text === `${pid} ${startTime}\n`;
}
