import { ownPlatform } from "../machine/system.ts";
import type { WireGuardDevice, WireGuardStart } from "./device.ts";
import { bringUpOnLinux } from "./linux-device.ts";
import { bringUpOnMac } from "./mac-device.ts";
import { bringUpOnWindows } from "./windows-device.ts";

/**
 * Makes a WireGuard interface as this system's own tools do. Needs root, or on Windows an elevated account.
 * @throws AgentFailure where a program is missing or something cannot be set; nothing is left then
 */
export async function bringUpWireGuard(start: WireGuardStart): Promise<WireGuardDevice> {
  if (ownPlatform() === "win") return await bringUpOnWindows(start);
  if (ownPlatform() === "mac") return await bringUpOnMac(start);
  return await bringUpOnLinux(start);
}
