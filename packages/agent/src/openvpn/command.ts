import { win32 } from "node:path";
import type { Platform } from "../interpreter/machine.ts";

const setpriv = "/usr/bin/setpriv";

/** Where OpenVPN's packages put the program, in the order in which they are looked for; never what PATH says. */
export function openVpnPrograms(
  platform: Platform,
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  if (platform === "win")
    return [win32.join(environment.ProgramFiles ?? "C:\\Program Files", "OpenVPN", "bin", "openvpn.exe")];
  // Of Homebrew on Apple's processors and on Intel's, and of MacPorts.
  if (platform === "mac") return ["/opt/homebrew/sbin/openvpn", "/usr/local/sbin/openvpn", "/opt/local/sbin/openvpn2"];
  return ["/usr/sbin/openvpn", "/usr/local/sbin/openvpn", "/sbin/openvpn"];
}

/** Lines that go before a client config's own. */
export function openVpnOptions(platform: Platform): readonly string[] {
  return [
    // Of these some versions and systems know nothing; in a client config for everybody they must not stop them.
    "ignore-unknown-option block-outside-dns dns-updown",
    // From 2.7 on openvpn would set name servers by a script of its own; there is one who does that, and it is us.
    ...(platform === "mac" ? ["dns-updown disable"] : []),
  ];
}

/** What starts it. On Linux it is told to end when we end, however we end, and then takes the tunnel down. */
export function openVpnCommand(start: {
  platform: Platform;
  program: string;
  config: string;
  isProgram(path: string): boolean;
}): { program: string; args: readonly string[] } {
  const { platform, program, config, isProgram } = start;
  const args = ["--config", config];
  if (platform !== "linux" || !isProgram(setpriv)) return { program, args };
  return { program: setpriv, args: ["--pdeathsig", "TERM", program, ...args] };
}
