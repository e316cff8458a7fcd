import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { AgentFailure } from "../failure.ts";
import { isProgram } from "../machine/is-program.ts";
import { makePrivateDirectory, writeNewFile } from "../machine/private-directory.ts";
import { isAlive, startTimeOf } from "../machine/processes.ts";
import { ownPlatform } from "../machine/system.ts";
import { quoteWord } from "../profile/words.ts";
import { openVpnCommand, openVpnPrograms } from "./command.ts";
import type { OpenVpnProcess } from "./session.ts";

const mostLastWords = 16_384;

export type OpenVpnStart = {
  /** Of `readOpenVpnProfile`: only what passes. */
  profileText: string;
  /** `UV_…` and `IV_…`: what the server is told of this machine (docs/agent.md lists it all). */
  peerInfo: Readonly<Record<string, string>>;
  /** Below it each openvpn has a directory of its own. */
  base: string;
  program: string | undefined;
  /** Another account that is to speak to it (openvpn asks the kernel who it is), and where that account can reach it. */
  management?: { user: string; directory: string };
  onOutput: (text: string) => void;
};

/** @throws AgentFailure `program-missing` */
export function findOpenVpn(given: string | undefined): string {
  const found = (given === undefined ? openVpnPrograms(ownPlatform(), process.env) : [given]).find(isProgram);
  if (found !== undefined) return found;
  throw new AgentFailure(
    "program-missing",
    given === undefined ? "OpenVPN is not installed." : `${given} is no program.`,
    "Install the package openvpn (Debian, Ubuntu: apt install openvpn; Fedora: dnf install openvpn; macOS: brew install openvpn).",
  );
}

/**
 * Starts the machine's openvpn with a client config that was read by us, held until it is released over its management
 * socket. It ends with us, even when we are killed. Needs root.
 */
export async function startOpenVpn(options: OpenVpnStart): Promise<OpenVpnProcess & AsyncDisposable> {
  const program = findOpenVpn(options.program);
  await makePrivateDirectory(options.base);
  await sweepTunnelDirectories(options.base);
  const directory = await mkdtemp(join(options.base, `${process.pid}-${(await startTimeOf(process.pid)) ?? 0}-`));
  const managementPath =
    options.management === undefined
      ? join(directory, "m")
      : join(options.management.directory, `openvpn-${randomBytes(8).toString("hex")}`);
  const config = join(directory, "config");
  await writeNewFile(config, configText(options, managementPath), 0o600);
  const command = openVpnCommand({ platform: ownPlatform(), program, config, isProgram });
  const child = spawn(command.program, [...command.args], {
    cwd: directory,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let lastWords = "";
  const hear = (chunk: Buffer) => {
    // openvpn itself hides passwords, and not answers to questions.
    options.onOutput(chunk.toString("utf8").replace(/(cr-response) [^'\n]*/g, "$1 [...]"));
    lastWords = (lastWords + chunk.toString("utf8")).slice(-mostLastWords);
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", () => resolve(lastWords));
  });
  const gone = exited.finally(async () => {
    await rm(managementPath, { force: true });
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  });
  const running = () => child.exitCode === null && child.signalCode === null && child.pid !== undefined;
  return {
    managementPath,
    running,
    exited: gone,
    kill: () => void child.kill("SIGKILL"),
    [Symbol.asyncDispose]: async () => {
      if (running()) child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await gone;
      clearTimeout(late);
    },
  };
}

function configText({ profileText, peerInfo, management }: OpenVpnStart, managementPath: string): string {
  return [
    profileText.trim(),
    `management ${quoteWord(managementPath)} unix`,
    ...(management === undefined ? [] : [`management-client-user ${quoteWord(management.user)}`]),
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

/** Client configs hold keys: those of agents that were killed go. */
async function sweepTunnelDirectories(base: string): Promise<void> {
  for (const name of await readdir(base)) {
    const [, pid, startTime] = /^(\d+)-(\d+)-/.exec(name) ?? [];
    if (pid !== undefined && (await isAlive(pid, startTime))) continue;
    await rm(join(base, name), { recursive: true, force: true, maxRetries: 3 });
  }
}
