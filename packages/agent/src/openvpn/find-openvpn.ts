import { AgentFailure } from "../failure.ts";
import type { Platform } from "../interpreter/machine.ts";
import { isProgram } from "../machine/is-program.ts";
import { believedForRoot, chooseForRoot } from "../machine/root-programs.ts";
import { openVpnPrograms } from "./command.ts";

const howToInstall: Readonly<Record<Platform, string>> = {
  linux: "Install the package openvpn (Debian, Ubuntu: apt install openvpn; Fedora: dnf install openvpn).",
  mac: "Install it: brew install openvpn (or, of MacPorts: port install openvpn2).",
  win: "Install it from https://openvpn.net/community/, as an administrator.",
};

/**
 * The openvpn to start: the one that root named, or the machine's. On macOS, where the machine has none of its own, only
 * one that nobody else can change.
 * @throws AgentFailure `program-missing`, `not-permitted`
 */
export async function findOpenVpn(options: {
  platform: Platform;
  given: string | undefined;
  programsOf: readonly string[];
}): Promise<string> {
  const { platform, given, programsOf } = options;
  const paths = given === undefined ? openVpnPrograms(platform, process.env) : [given];
  const found =
    platform === "mac" && given === undefined
      ? await chooseForRoot(paths, await believedForRoot(programsOf))
      : paths.find(isProgram);
  if (found !== undefined) return found;
  const what = given === undefined ? "OpenVPN is not installed." : `${given} is no program.`;
  throw new AgentFailure("program-missing", what, howToInstall[platform]);
}
