import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { AddressRange } from "../../core/address-range.ts";
import { gatewayOf, parseAddress } from "../../core/address-range.ts";
import { SallyportError } from "../../core/errors.ts";
import { handWindowSeconds, netmaskOf } from "./commands.ts";
import { mostConfigLineBytes, quoteWord } from "./quoting.ts";

/** Where clients are awaited. A null address means every one of the machine, of both families. */
export type ListenAddress = { transport: "udp" | "tcp"; address: string | null; port: number };

export type ServerFiles = { ca: string; certificate: string; key: string; tlsCryptV2Key: string };

export type ServerConfigOptions = {
  listen: ListenAddress;
  /** Absolute paths, as all others: the server may change its directory. */
  managementSocket: string;
  files: ServerFiles;
  ranges: { ipv4?: AddressRange | undefined; ipv6?: AddressRange | undefined };
  device: string;
  renegotiateSeconds: number;
  /** Clients get a token to send in place of their password; with a secret of its own it outlives the server. */
  sessionTokens?: { lifetimeSeconds: number; secretFile?: string } | undefined;
  /** Whether this machine speaks IPv6. */
  ipv6: boolean;
};

/** More than its own default of 1,024 clients at a time, and all of them coming back at once after a restart. */
const mostClients = 65_535;
const mostFirstPackets = 20_000;
/** A token is good for twice this after it was last renewed: a device that slept for less than a day is not asked again. */
const tokenRenewalSeconds = 12 * 60 * 60;
const keepaliveSeconds = { ping: 10, restart: 60 } as const;

/**
 * The configuration of one openvpn process: everything that holds for all clients. What a client gets (address, routes,
 * name servers) is told with each admission, so that changing it needs no restart.
 */
export function serverConfig(options: ServerConfigOptions): string {
  const { listen, files, ranges } = options;
  if (options.renegotiateSeconds <= 0)
    throw new SallyportError("config-invalid", "OpenVPN keys must be renegotiated: renegotiateSeconds is above 0");
  const lines: (readonly (string | number)[])[] = [
    ["mode", "server"],
    ["tls-server"],
    ...listenLines(listen, options.ipv6),
    ["dev", options.device],
    ["dev-type", "tun"],
    ["topology", "subnet"],
    ...rangeLines(ranges),
    ["ca", files.ca],
    ["cert", files.certificate],
    ["key", files.key],
    ["dh", "none"],
    ["tls-crypt-v2", files.tlsCryptV2Key],
    ["tls-version-min", "1.2"],
    ["verify-client-cert", "require"],
    ["remote-cert-tls", "client"],
    ["data-ciphers", "AES-256-GCM:CHACHA20-POLY1305:AES-128-GCM"],
    // Whoever comes without a user name is shown to the pipeline too, which decides; one device may come twice.
    ["auth-user-pass-optional"],
    ["duplicate-cn"],
    ["management", options.managementSocket, "unix"],
    ["management-client-auth"],
    // Nobody is let in before somebody listens at the management socket.
    ["management-hold"],
    ["reneg-sec", options.renegotiateSeconds],
    ["hand-window", handWindowSeconds],
    ...tokenLines(options.sessionTokens),
    ["keepalive", keepaliveSeconds.ping, keepaliveSeconds.restart],
    ["max-clients", mostClients],
    ["persist-tun"],
    ["persist-key"],
    // Byte counts and events are known of OpenVPN's own data channel, not of the kernel's.
    ["disable-dco"],
    ["verb", 3],
  ];
  return `${lines.map((words) => configLine(words)).join("\n")}\n`;
}

/** What each client of a listener is told beside its addresses. */
export function pushedOptions(listen: ListenAddress): string[] {
  return listen.transport === "udp" ? ["explicit-exit-notify 1"] : [];
}

/** Changes when a running server no longer does what a new one would. */
export async function fingerprint(config: string, files: ServerFiles, program: string): Promise<string> {
  const hash = createHash("sha256").update(`${program}\n${config}`);
  for (const path of [files.ca, files.certificate, files.key, files.tlsCryptV2Key]) {
    const content = await readFile(path).catch((error: unknown) => {
      throw new SallyportError("driver-failed", `OpenVPN needs ${path}, which cannot be read`, { cause: error });
    });
    hash.update(createHash("sha256").update(content).digest());
  }
  return hash.digest("hex").slice(0, 16);
}

/** A name of at most 15 bytes that no other listener of this machine has, and that tells the profile. */
export function deviceName(profileId: string, listener: string, directory: string): string {
  const readable = profileId
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "")
    .slice(0, 6);
  const unique = createHash("sha256")
    .update(JSON.stringify([directory, profileId, listener]))
    .digest("hex")
    .slice(0, 5);
  return `sp-${readable}-${unique}`;
}

/** Whether the server's socket takes IPv4 clients as such, and not by way of IPv6. */
export function isPlainIpv4(listen: ListenAddress, ipv6: boolean): boolean {
  return listen.address === null ? !ipv6 : !listen.address.includes(":");
}

function listenLines(listen: ListenAddress, ipv6: boolean): (readonly (string | number)[])[] {
  const family = isPlainIpv4(listen, ipv6) ? "4" : "6";
  const address = listen.address === null ? null : parseAddress(listen.address);
  if (address === undefined) throw new SallyportError("config-invalid", `${listen.address} is no address to listen at`);
  const everywhere = address === null || address === "::" || address === "0.0.0.0";
  return [
    ["proto", listen.transport === "udp" ? `udp${family}` : `tcp${family}-server`],
    ...(address === null ? [] : [["local", address]]),
    ["lport", listen.port],
    ...(listen.transport === "udp"
      ? [
          // On a machine with several addresses the answer leaves from the one that was asked.
          ...(everywhere ? [["multihome"]] : []),
          // Clients are told when the server ends, instead of waiting for a minute.
          ["explicit-exit-notify", 1],
          ["connect-freq-initial", mostFirstPackets, 10],
        ]
      : [["tcp-nodelay"]]),
  ];
}

function tokenLines(tokens: ServerConfigOptions["sessionTokens"]): (readonly (string | number)[])[] {
  if (tokens === undefined) return [];
  // Without `external-auth` OpenVPN would let in whoever has a token and ask nobody.
  const lines: (readonly (string | number)[])[] = [
    ["auth-gen-token", tokens.lifetimeSeconds, tokenRenewalSeconds, "external-auth"],
  ];
  if (tokens.secretFile !== undefined) lines.push(["auth-gen-token-secret", tokens.secretFile]);
  return lines;
}

function rangeLines({ ipv4, ipv6 }: ServerConfigOptions["ranges"]): (readonly (string | number)[])[] {
  const lines: (readonly (string | number)[])[] = [];
  if (ipv4 !== undefined) lines.push(["ifconfig", gatewayOf(ipv4), netmaskOf(ipv4.prefixLength)]);
  if (ipv6 !== undefined) {
    // The second address names the other end of a link that has none; OpenVPN insists on one.
    lines.push([
      "ifconfig-ipv6",
      `${gatewayOf(ipv6)}/${ipv6.prefixLength}`,
      gatewayOf({ ...ipv6, first: ipv6.first + 1n }),
    ]);
  }
  return lines;
}

function configLine(words: readonly (string | number)[]): string {
  try {
    const line = words.map((word) => quoteWord(`${word}`)).join(" ");
    if (Buffer.byteLength(line) <= mostConfigLineBytes) return line;
  } catch {
    // Told below.
  }
  throw new SallyportError(
    "config-invalid",
    `OpenVPN's option ${words[0]} cannot be ${JSON.stringify(words.slice(1))}`,
  );
}
