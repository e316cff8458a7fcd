import type { ClientConfig } from "../store/store.ts";

export type OpenVpnFile = {
  config: Pick<ClientConfig, "id" | "userId" | "kind" | "createdAt" | "expiresAt">;
  profile: OpenVpnProfile;
  serverName: string;
  staticChallenge: StaticChallenge | undefined;
  /** Comment lines for agents, each shorter than OpenVPN's bound. */
  comments?: readonly string[];
  caPem: string;
  certificatePem: string;
  keyPem: string;
  tlsCryptV2Pem: string;
};

/** What a device must know of a profile to reach it. */
export type OpenVpnProfile = {
  id: string;
  displayName: string;
  /** Host name or address that clients connect to. */
  hostName: string;
  /** Tried in this order. */
  listeners: readonly { transport: "udp" | "tcp"; port: number }[];
};

/** A question asked together with the password; `echo`: the answer may be shown while it is typed. */
export type StaticChallenge = { text: string; echo: boolean };

/**
 * OpenVPN stops at a line of 256 bytes, and older ones read the rest of it as a line of its own. Names reach the file
 * only through `onOneLine` and `quoted`, which keep them shorter than that.
 */
const longestNameBytes = 100;
const longestQuotedBytes = 215;

/** The text of an `.ovpn` file, complete: everything a stock client needs is in it. */
export function openVpnFile(file: OpenVpnFile): string {
  const { config, profile } = file;
  const lines = [
    "# Sallyport client config",
    `# id: ${onOneLine(config.id)}`,
    `# profile: ${onOneLine(profile.displayName)} (${onOneLine(profile.id)})`,
    config.userId === null ? "# for: everybody with a user name and password" : `# for: ${onOneLine(config.userId)}`,
    `# made: ${config.createdAt}`,
    `# good until: ${config.expiresAt}`,
    `setenv FRIENDLY_NAME ${quoted(`${profile.displayName} (${profile.hostName})`)}`,
    "client",
    "dev tun",
    "nobind",
    ...profile.listeners.map(({ transport, port }) => `remote ${profile.hostName} ${port} ${transport}`),
    "resolv-retry infinite",
    "persist-tun",
    "remote-cert-tls server",
    `verify-x509-name ${file.serverName} name`,
    "tls-version-min 1.2",
    // Clients before 2.5 negotiate the same ciphers under another option's name.
    "ignore-unknown-option data-ciphers",
    "data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305",
    "push-peer-info",
    "auth-retry interact",
    ...(config.kind === "auto-login" ? [] : ["auth-user-pass"]),
    ...staticChallengeLines(file.staticChallenge),
    ...(profile.listeners.some(({ transport }) => transport === "udp") ? ["explicit-exit-notify 1"] : []),
    "verb 3",
    ...(file.comments ?? []),
    ...inline("ca", file.caPem),
    ...inline("cert", file.certificatePem),
    ...inline("key", file.keyPem),
    ...inline("tls-crypt-v2", file.tlsCryptV2Pem),
  ];
  return `${lines.join("\n")}\n`;
}

function staticChallengeLines(challenge: StaticChallenge | undefined): string[] {
  return challenge ? [`static-challenge ${quoted(challenge.text)} ${challenge.echo ? 1 : 0}`] : [];
}

function inline(tag: string, pem: string): string[] {
  return [`<${tag}>`, pem.trim(), `</${tag}>`];
}

/** Without line breaks, control and format characters, and cut to so many bytes. */
export function onOneLine(text: string): string {
  return shortened(clean(text), (kept) => kept);
}

/** The same as one argument of an OpenVPN option: in quotes, which `escaped` keeps it from leaving. */
function quoted(text: string): string {
  const escaped = (kept: string) => kept.replace(/[\\"]/g, "\\$&");
  return `"${escaped(shortened(clean(text), escaped, longestQuotedBytes))}"`;
}

function clean(text: string): string {
  return text.toWellFormed().replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");
}

/** As much of a text as fits, written in its final form. */
function shortened(text: string, form: (kept: string) => string, mostBytes = longestNameBytes): string {
  let kept = "";
  for (const character of text) {
    if (Buffer.byteLength(form(kept + character)) > mostBytes) return `${kept}…`;
    kept += character;
  }
  return kept;
}
