import type { Platform } from "../interpreter/machine.ts";
import { ownPlatform } from "./system.ts";

/** What this system calls whoever may do everything on it, and how one becomes that. */
export function rootWords(platform: Platform = ownPlatform()): { root: string; become: string } {
  return platform === "win"
    ? { root: "an administrator", become: "Start it in a terminal that was opened with `Run as administrator`." }
    : { root: "root", become: "Use sudo." };
}

/** What such a person types. */
export function asRoot(command: string, platform: Platform = ownPlatform()): string {
  return platform === "win" ? `${command} (in a terminal opened with \`Run as administrator\`)` : `sudo ${command}`;
}
