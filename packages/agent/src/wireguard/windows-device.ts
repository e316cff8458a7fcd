import { rm } from "node:fs/promises";
import { join, win32 } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { AgentFailure } from "../failure.ts";
import { isProgram } from "../machine/is-program.ts";
import { writeNewFile } from "../machine/private-directory.ts";
import type { WireGuardDevice, WireGuardStart } from "./device.ts";
import { trafficIn } from "./dump.ts";
import { nameInterface, sweepInterfaces } from "./made-interfaces.ts";
import { runTool } from "./run-tool.ts";
import { tunnelFileOf } from "./tunnel-file.ts";

const upDeadlineMs = 30_000;
const downDeadlineMs = 10_000;
const pollMs = 100;

/**
 * Has WireGuard for Windows bring the tunnel up, as a service of the system that it installs for it (docs/enterprise.md of
 * wireguard-windows): addresses, routes and name servers are its own doing. Needs an elevated account.
 * @throws AgentFailure where it is not installed, or the tunnel does not come; nothing is left then
 */
export async function bringUpOnWindows({ profile, base, log }: WireGuardStart): Promise<WireGuardDevice> {
  const { wireguard, wg } = findPrograms();
  const uninstall = (name: string) => runTool(wireguard, ["/uninstalltunnelservice", name]);
  const isThere = (name: string) =>
    runTool(wg, ["show", name, "dump"]).then(
      () => true,
      () => false,
    );
  await sweepInterfaces(base, async (name) => {
    await rm(fileOf(base, name), { force: true });
    await uninstall(name);
  });
  const { name, forget } = await nameInterface(base);
  const file = fileOf(base, name);
  const takeDown = async () => {
    await uninstall(name).catch((error: Error) => log(error.message));
    for (const end = Date.now() + downDeadlineMs; Date.now() < end && (await isThere(name)); ) await wait(pollMs);
    await forget();
  };
  try {
    await writeNewFile(file, tunnelFileOf(profile), 0o600);
    await runTool(wireguard, ["/installtunnelservice", file]);
    const end = Date.now() + upDeadlineMs;
    while (!(await isThere(name))) {
      if (Date.now() > end) throw new Error(`its service WireGuardTunnel$${name} makes no interface`);
      await wait(pollMs);
    }
  } catch (error) {
    await takeDown();
    const next = "`wireguard.exe /dumplog` shows what WireGuard says.";
    throw new AgentFailure("failed", `WireGuard cannot be set up: ${(error as Error).message}.`, next);
  } finally {
    // It was read, and holds the key. Without it the service, which the system would start with the machine, stays down.
    await rm(file, { force: true });
  }
  return { name, takeDown, traffic: async () => trafficIn(await runTool(wg, ["show", name, "dump"])) };
}

/** Its name is the tunnel's. */
function fileOf(base: string, name: string): string {
  return join(base, `${name}.conf`);
}

function findPrograms(): { wireguard: string; wg: string } {
  const directory = win32.join(process.env.ProgramFiles ?? "C:\\Program Files", "WireGuard");
  const [wireguard, wg] = [win32.join(directory, "wireguard.exe"), win32.join(directory, "wg.exe")];
  if (isProgram(wireguard) && isProgram(wg)) return { wireguard, wg };
  const next = "Install it from https://www.wireguard.com/install/, as an administrator.";
  throw new AgentFailure("program-missing", "WireGuard is not installed.", next);
}
