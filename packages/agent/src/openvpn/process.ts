import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isProgram } from "../machine/is-program.ts";
import { makePrivateDirectory, writeNewFile } from "../machine/private-directory.ts";
import { isAlive, processesWithArgument, startTimeOf } from "../machine/processes.ts";
import { ownPlatform } from "../machine/system.ts";
import { quoteWord } from "../profile/words.ts";
import { openVpnCommand, openVpnOptions } from "./command.ts";
import { findOpenVpn } from "./find-openvpn.ts";
import { freePort } from "./free-port.ts";
import { type LaunchedOpenVpn, launchOpenVpn } from "./launch.ts";
import type { ManagementAddress } from "./management.ts";
import type { OpenVpnProcess } from "./session.ts";

const mostPorts = 5;
const listensDeadlineMs = 30_000;

export type OpenVpnStart = {
  /** Of `readOpenVpnProfile`: only what passes. */
  profileText: string;
  /** `UV_…` and `IV_…`: what the server is told of this machine (docs/agent.md lists it all). */
  peerInfo: Readonly<Record<string, string>>;
  /** Below it each openvpn has a directory of its own. */
  base: string;
  program: string | undefined;
  /** macOS: accounts whose programs root may run, by the owner's word. */
  programsOf: () => Promise<readonly string[]>;
  /** Another account that is to speak to it (openvpn asks the kernel who it is), and where that account can reach it. */
  management?: { user: string; directory: string };
  /** With each line that it says. */
  onOutput: (line: string) => void;
};

/**
 * Starts the machine's openvpn with a client config that was read by us, held until it is released over its management
 * interface. It ends with us, even when we are killed; on macOS the next start ends it then. Needs root, or on Windows an
 * elevated account.
 */
export async function startOpenVpn(options: OpenVpnStart): Promise<OpenVpnProcess & AsyncDisposable> {
  const programsOf = await options.programsOf();
  const program = await findOpenVpn({ platform: ownPlatform(), given: options.program, programsOf });
  await makePrivateDirectory(options.base);
  await sweepTunnelDirectories(options.base);
  return ownPlatform() === "win" ? await startAtPort(program, options) : await startAtSocket(program, options);
}

async function startAtSocket(program: string, options: OpenVpnStart): Promise<LaunchedOpenVpn> {
  const directory = await makeDirectory(options.base);
  const path =
    options.management === undefined
      ? join(directory, "m")
      : join(options.management.directory, `openvpn-${randomBytes(8).toString("hex")}`);
  const lines = [
    `management ${quoteWord(path)} unix`,
    ...(options.management === undefined ? [] : [`management-client-user ${quoteWord(options.management.user)}`]),
  ];
  return await launch({ program, options, directory, management: { path }, lines });
}

/**
 * Where there are no unix sockets: a port that was free a moment ago, and a password in a file that is gone once it was
 * read. Nobody is spoken to before openvpn itself says that the port is its own.
 */
async function startAtPort(program: string, options: OpenVpnStart): Promise<LaunchedOpenVpn> {
  for (let left = mostPorts; ; left -= 1) {
    const directory = await makeDirectory(options.base);
    const management = { port: await freePort(), password: randomBytes(24).toString("base64url") };
    const file = join(directory, "password");
    await writeNewFile(file, `${management.password}\n`, 0o600);
    const lines = [`management 127.0.0.1 ${management.port} ${quoteWord(file)}`];
    const openvpn = await launch({ program, options, directory, management, lines });
    const late = setTimeout(() => openvpn.kill(), listensDeadlineMs);
    const listens = await openvpn.says(managementListens(management.port));
    clearTimeout(late);
    await rm(file, { force: true });
    if (listens !== undefined) return openvpn;
    // Whatever else it complains of, the session tells.
    if (!/MANAGEMENT: Socket bind failed/.test(await openvpn.exited) || left === 1) return openvpn;
  }
}

/** How openvpn says that it has the port. */
function managementListens(port: number): RegExp {
  return new RegExp(`MANAGEMENT: TCP Socket listening on \\[AF_INET\\]127\\.0\\.0\\.1:${port}\\r?\\n`);
}

async function makeDirectory(base: string): Promise<string> {
  return await mkdtemp(join(base, `${process.pid}-${(await startTimeOf(process.pid)) ?? 0}-`));
}

async function launch(start: {
  program: string;
  options: OpenVpnStart;
  directory: string;
  management: ManagementAddress;
  lines: readonly string[];
}): Promise<LaunchedOpenVpn> {
  const { program, options, directory, management, lines } = start;
  const config = configIn(directory);
  await writeNewFile(config, configText(options, lines), 0o600);
  const command = openVpnCommand({ platform: ownPlatform(), program, config, isProgram });
  return launchOpenVpn({ ...command, directory, management, onOutput: options.onOutput });
}

function configText({ profileText, peerInfo }: OpenVpnStart, management: readonly string[]): string {
  return [
    ...openVpnOptions(ownPlatform()),
    profileText.trim(),
    ...management,
    "management-hold",
    "management-query-passwords",
    "auth-retry interact",
    "push-peer-info",
    // No program is run by openvpn, whatever a server pushes.
    "script-security 1",
    "verb 3",
    ...Object.entries(peerInfo).map(([name, value]) => `setenv ${name} ${quoteWord(value)}`),
    "",
  ].join("\n");
}

/** Client configs hold keys: those of agents that were killed go, and an openvpn that has lived longer than its agent ends. */
export async function sweepTunnelDirectories(base: string): Promise<void> {
  for (const name of await readdir(base).catch(() => [])) {
    const [, pid, startTime] = /^(\d+)-(\d+)-\w{6}$/.exec(name) ?? [];
    if (pid === undefined || (await isAlive(pid, startTime))) continue;
    for (const left of await processesWithArgument(configIn(join(base, name)))) end(left);
    await rm(join(base, name), { recursive: true, force: true, maxRetries: 3 });
  }
}

const configIn = (directory: string) => join(directory, "config");

function end(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch {
    // It ended meanwhile.
  }
}
