import { spawn } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { AgentFailure } from "../failure.ts";
import { replaceFile, writeNewFile } from "../machine/private-directory.ts";
import { nameServersOf } from "../machine/set-name-servers.ts";
import type { WireGuardDevice, WireGuardStart } from "./device.ts";
import { trafficIn } from "./dump.ts";
import { nameInterface, sweepInterfaces } from "./made-interfaces.ts";
import { runTool } from "./run-tool.ts";
import { tunnelFileOf } from "./tunnel-file.ts";

/** Absolute paths of what wg-quick(8) needs of what was installed: its shell, itself, wg and wireguard-go. */
export type WgQuickTools = { bash: string; wgQuick: string; wg: string; directory: string };

/** Where wireguard-go's sockets are, and, on macOS, the files that name the interfaces it was given. */
const runDirectory = "/var/run/wireguard";
const deadlineMs = 30_000;
const drainMs = 250;

/** A line for each of wg-quick's two verbs; never by way of PATH, in which `env` would look for bash. */
export function wgQuickCommand(
  { bash, wgQuick, directory }: WgQuickTools,
  verb: "up" | "down",
  file: string,
): { program: string; args: readonly string[]; environment: Readonly<Record<string, string>> } {
  const path = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", ...(directory === "/usr/bin" ? [] : [directory])].join(":");
  return { program: bash, args: [wgQuick, verb, file], environment: { PATH: path, LC_ALL: "C" } };
}

/**
 * Has wg-quick bring a tunnel up, from a file in which no line runs a program. Name servers are set by ourselves: on macOS
 * wg-quick would write them into the settings of every network, where a machine that loses power keeps them. The private
 * key is in the file only until the interface has it.
 * @throws AgentFailure where it does not come up; nothing is left then
 */
export async function bringUpByWgQuick(
  { profile, base, log }: WireGuardStart,
  tools: WgQuickTools,
  platform: "mac" | "linux",
): Promise<WireGuardDevice> {
  const fileOf = (name: string) => join(base, `${name}.conf`);
  const run = (verb: "up" | "down", name: string) => runWgQuick(wgQuickCommand(tools, verb, fileOf(name)), log);
  const remove = async (name: string) => {
    const device = await deviceOf(name, platform);
    await run("down", name).catch((error: Error) => log(error.message));
    // What `down` does, should it not have found it: wireguard-go ends when its socket is gone.
    for (const file of [`${device}.sock`, `${name}.name`])
      if (device !== undefined) await rm(join(runDirectory, file), { force: true });
    await rm(fileOf(name), { force: true });
  };
  await sweepInterfaces(base, remove);
  const { name, forget } = await nameInterface(base);
  const nameServers = nameServersOf({ platform, name, log });
  const takeDown = async () => {
    await nameServers.close();
    await remove(name);
    await forget();
  };
  try {
    await writeNewFile(fileOf(name), tunnelFileOf({ ...profile, dns: [], search: [] }), 0o600);
    await run("up", name);
    const device = await deviceOf(name, platform);
    if (device === undefined) throw new Error(`${runDirectory}/${name}.name does not name an interface`);
    // `down` asks for a file, and for nothing in it.
    await replaceFile(fileOf(name), "[Interface]\n");
    if (profile.dns.length > 0) await nameServers.set({ servers: profile.dns, search: profile.search });
    return {
      name: device,
      takeDown,
      traffic: async () => trafficIn(await runTool(tools.wg, ["show", device, "dump"])),
    };
  } catch (error) {
    await takeDown();
    throw new AgentFailure("failed", `WireGuard cannot be set up: ${(error as Error).message}`);
  }
}

/** macOS numbers its interfaces itself, and wireguard-go writes down which one it got. */
async function deviceOf(name: string, platform: "mac" | "linux"): Promise<string | undefined> {
  if (platform === "linux") return name;
  const given = (await readFile(join(runDirectory, `${name}.name`), "utf8").catch(() => "")).trim();
  return /^utun\d{1,5}$/.test(given) ? given : undefined;
}

/** Waits for wg-quick itself, not for what it leaves running. @throws Error with what it said last */
async function runWgQuick(command: ReturnType<typeof wgQuickCommand>, log: (text: string) => void): Promise<void> {
  const { program, args, environment } = command;
  // In a session of its own: on macOS it leaves a process that a key of the terminal must not end.
  const child = spawn(program, [...args], {
    cwd: "/",
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let said = "";
  const hear = (chunk: Buffer) => {
    said = (said + chunk.toString("utf8")).slice(-16_384);
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  const late = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const status = await new Promise<number | string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(code ?? signal ?? "ended"));
  });
  clearTimeout(late);
  await Promise.race([closed, wait(drainMs)]);
  for (const stream of [child.stdout, child.stderr]) stream.destroy();
  if (said !== "") log(said);
  if (status === 0) return;
  const last = said.trim().split("\n").at(-1) ?? "";
  throw new Error(`wg-quick ${args[1]}: ${last === "" ? status : last}`);
}
