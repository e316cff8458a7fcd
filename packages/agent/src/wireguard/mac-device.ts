import { AgentFailure } from "../failure.ts";
import { believedForRoot, chooseForRoot } from "../machine/root-programs.ts";
import type { WireGuardDevice, WireGuardStart } from "./device.ts";
import { bringUpByWgQuick, type WgQuickTools } from "./wg-quick.ts";

/** Of Homebrew on Apple's processors and on Intel's, and of MacPorts; never what PATH says. */
const prefixes = ["/opt/homebrew", "/usr/local", "/opt/local"];

/**
 * Has wg-quick of Homebrew or MacPorts bring the tunnel up. Needs root, and that nobody else can change what is run.
 * @throws AgentFailure where something of it is missing, may not be run as root, or does not work; nothing is left then
 */
export async function bringUpOnMac(start: WireGuardStart): Promise<WireGuardDevice> {
  return await bringUpByWgQuick(start, await findWgQuick(prefixes, await start.programsOf()), "mac");
}

/** @throws AgentFailure `program-missing`, `not-permitted` */
export async function findWgQuick(below: readonly string[], programsOf: readonly string[]): Promise<WgQuickTools> {
  const believed = await believedForRoot(programsOf);
  const wgQuick = await chooseForRoot(
    below.map((prefix) => `${prefix}/bin/wg-quick`),
    believed,
  );
  if (wgQuick === undefined) throw missing("WireGuard");
  const directory = wgQuick.slice(0, -"/wg-quick".length);
  const beside = async (name: string) => {
    const path = await chooseForRoot([`${directory}/${name}`], believed);
    if (path === undefined) throw missing(`${directory}/${name}`);
    return path;
  };
  // macOS' own bash is too old for it.
  const [bash, wg] = [await beside("bash"), await beside("wg")];
  await beside("wireguard-go");
  return { bash, wgQuick, wg, directory };
}

function missing(what: string): AgentFailure {
  const next = "Install it: brew install wireguard-tools (or, of MacPorts: port install wireguard-tools bash).";
  return new AgentFailure("program-missing", `${what} is not installed.`, next);
}
