import type { WireGuardProfile } from "../profile/wireguard-file.ts";

/**
 * The client config for a program that does everything itself (wg-quick, WireGuard for Windows): what was read of it and
 * nothing else, so no line that runs a program. Holds the private key.
 */
export function tunnelFileOf({ setconf, addresses, dns, search, mtu }: WireGuardProfile): string {
  const own = [
    `Address = ${addresses.join(", ")}`,
    ...(dns.length === 0 ? [] : [`DNS = ${[...dns, ...search].join(", ")}`]),
    ...(mtu === undefined ? [] : [`MTU = ${mtu}`]),
  ];
  return setconf.replace("[Interface]\n", `[Interface]\n${own.join("\n")}\n`);
}
