import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { AgentFailure } from "../failure.ts";
import { writeNewFile } from "../machine/private-directory.ts";
import { nameServersOf } from "../machine/set-name-servers.ts";
import type { WireGuardDevice, WireGuardStart } from "./device.ts";
import { trafficIn } from "./dump.ts";
import { nameInterface, sweepInterfaces } from "./made-interfaces.ts";
import { runTool } from "./run-tool.ts";

const programs = {
  wg: "/usr/bin/wg",
  ip: ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"],
  wireguardGo: "/usr/bin/wireguard-go",
  setpriv: "/usr/bin/setpriv",
};
/** As wg-quick chooses it: packets of the tunnel itself carry it, and so stay outside. */
const mark = 51_820;

/**
 * Does what wg-quick does, without its shell commands: the interface by the kernel's module, or wireguard-go where there
 * is none; keys, addresses, routes, name servers. Needs root.
 * @throws AgentFailure where a program is missing or something cannot be set; nothing is left then
 */
export async function bringUpOnLinux(options: WireGuardStart): Promise<WireGuardDevice> {
  const { profile, log } = options;
  const ip = programs.ip.find((path) => existsSync(path));
  if (ip === undefined || !existsSync(programs.wg)) {
    const missing = ip === undefined ? "iproute2" : "wireguard-tools";
    throw new AgentFailure("program-missing", `The package ${missing} is not installed.`, `apt install ${missing}`);
  }
  const undo: (() => Promise<unknown>)[] = [];
  const quietly = (work: Promise<unknown>) => work.catch(() => undefined);
  const takeDown = async () => {
    for (const step of undo.splice(0).reverse()) await quietly(step());
  };
  // The kernel's own, unlike wireguard-go's, outlive who made them.
  await sweepInterfaces(options.base, (left) => runTool(ip, ["link", "delete", left]));
  const { name, forget } = await nameInterface(options.base);
  undo.push(forget);
  try {
    undo.push(await makeInterface(name, ip, log));
    await setKeys(name, profile.setconf, options.base);
    for (const address of profile.addresses)
      await runTool(ip, [family(address), "address", "add", address, "dev", name]);
    await runTool(ip, ["link", "set", "mtu", `${profile.mtu ?? 1420}`, "up", "dev", name]);
    const everything = profile.allowed.filter((one) => one.endsWith("/0"));
    // The interface's own network has its route already.
    for (const target of profile.allowed.filter((one) => !one.endsWith("/0")))
      await quietly(runTool(ip, [family(target), "route", "add", target, "dev", name]));
    if (everything.length > 0) await runTool(programs.wg, ["set", name, "fwmark", `${mark}`]);
    for (const target of new Set(everything)) {
      const six = family(target);
      await runTool(ip, [six, "route", "add", target, "dev", name, "table", `${mark}`]);
      await runTool(ip, [six, "rule", "add", "not", "fwmark", `${mark}`, "table", `${mark}`]);
      undo.push(() => runTool(ip, [six, "rule", "delete", "not", "fwmark", `${mark}`, "table", `${mark}`]));
      await runTool(ip, [six, "rule", "add", "table", "main", "suppress_prefixlength", "0"]);
      undo.push(() => runTool(ip, [six, "rule", "delete", "table", "main", "suppress_prefixlength", "0"]));
    }
    if (profile.dns.length > 0) {
      const nameServers = nameServersOf({ platform: "linux", name, log });
      undo.push(() => nameServers.close());
      await nameServers.set({ servers: profile.dns, search: profile.search });
    }
  } catch (error) {
    await takeDown();
    throw error instanceof AgentFailure
      ? error
      : new AgentFailure("failed", `WireGuard cannot be set up: ${(error as Error).message}`);
  }
  return {
    name,
    takeDown,
    traffic: async () => trafficIn(await runTool(programs.wg, ["show", name, "dump"])),
  };
}

/** Standard input is a socket, which wg cannot open: a file that is gone at once. It holds the private key. */
async function setKeys(name: string, setconf: string, base: string): Promise<void> {
  const path = join(base, name);
  try {
    await writeNewFile(path, setconf, 0o600);
    await runTool(programs.wg, ["setconf", name, path]);
  } finally {
    await rm(path, { force: true });
  }
}

function family(target: string): "-4" | "-6" {
  return target.includes(":") ? "-6" : "-4";
}

/** How to take the interface away again. */
async function makeInterface(name: string, ip: string, log: (text: string) => void): Promise<() => Promise<unknown>> {
  const byKernel = await runTool(ip, ["link", "add", name, "type", "wireguard"]).then(
    () => true,
    () => false,
  );
  if (byKernel) return () => runTool(ip, ["link", "delete", name]);
  if (!existsSync(programs.wireguardGo)) {
    throw new AgentFailure(
      "program-missing",
      "This kernel has no WireGuard, and wireguard-go is not installed.",
      "apt install wireguard-go",
    );
  }
  const command = [programs.wireguardGo, "-f", name];
  if (existsSync(programs.setpriv)) command.unshift(programs.setpriv, "--pdeathsig", "TERM");
  const child = spawn(command[0] as string, command.slice(1), {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", WG_PROCESS_FOREGROUND: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  for (const input of [child.stdout, child.stderr]) createInterface({ input }).on("line", log);
  const exited = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
  const end = async () => {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await exited;
    clearTimeout(late);
  };
  for (let tries = 0; tries < 250; tries += 1) {
    const ready = await runTool(programs.wg, ["show", name]).then(
      () => true,
      () => false,
    );
    if (ready) return end;
    if (child.exitCode !== null || child.signalCode !== null) break;
    await wait(20);
  }
  await end();
  throw new AgentFailure("failed", "wireguard-go does not make an interface; see the agent's log.");
}
