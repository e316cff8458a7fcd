import { readFile, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { type AgentConfig, readAgentConfig } from "@sallyport/protocol";
import { AgentFailure } from "../failure.ts";
import type { Answers } from "../tunnel/tunnel.ts";
import { downloadProfile, type SignedIn } from "./download-profile.ts";
import { type OpenVpnProfile, readOpenVpnProfile } from "./openvpn-file.ts";
import { readWireGuardProfile, type WireGuardProfile } from "./wireguard-file.ts";
import { readWords } from "./words.ts";

/** A client config of either kind, and what it says to agents. */
export type Profile = {
  name: string;
  /** The whole text, comment lines included. */
  text: string;
  /** Undefined: its server has no scripts for agents. */
  agentConfig: AgentConfig | undefined;
  /** As it is called towards the person and the scripts. */
  server: string;
  /** Where it came from the server itself. */
  signedIn: SignedIn | undefined;
} & ({ protocol: "openvpn"; openvpn: OpenVpnProfile } | { protocol: "wireguard"; wireguard: WireGuardProfile });

const mostBytes = 512 * 1024;
const filesWorthInlining = ["ca", "cert", "key", "extra-certs", "tls-auth", "tls-crypt", "tls-crypt-v2", "crl-verify"];

/**
 * Reads a client config from a file or an https URL; `caFile` knows the server of the latter where the machine does not.
 * @throws AgentFailure `faulty-file`, `unreachable`, `wrong-credentials`
 */
export async function loadProfile(source: string, answers: Answers, caFile?: string): Promise<Profile> {
  const isUrl = /^https?:\/\//i.test(source);
  const { text, signedIn } = isUrl
    ? await downloadProfile(source, caFile, answers)
    : { text: await readWithFiles(source), signedIn: undefined };
  const name = isUrl ? new URL(source).host : basename(source);
  const agentConfig = agentConfigOf(text);
  if (/^\s*\[Interface\]/im.test(text)) {
    const wireguard = readWireGuardProfile(text);
    const server = (wireguard.endpoint ?? "the peer").replace(/:\d+$/, "");
    return { name, text, agentConfig, server, signedIn, protocol: "wireguard", wireguard };
  }
  const openvpn = readOpenVpnProfile(text);
  const withCa = agentConfig && { ...agentConfig, caPem: agentConfig.caPem ?? openvpn.caPem ?? null };
  const server = openvpn.remotes[0]?.host ?? "";
  return { name, text, agentConfig: withCa, server, signedIn, protocol: "openvpn", openvpn };
}

function agentConfigOf(text: string): AgentConfig | undefined {
  try {
    return readAgentConfig(text);
  } catch (error) {
    throw new AgentFailure("faulty-file", `The client config cannot be used: ${(error as Error).message}.`);
  }
}

/** Keys and certificates in files beside it are put into the text, read with this account's own rights. */
async function readWithFiles(path: string): Promise<string> {
  const text = await readBounded(path, "client config");
  if (/^\s*\[Interface\]/im.test(text)) return text;
  const lines: string[] = [];
  let inBlock = false;
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*<\/?[a-z0-9-]+>\s*$/.test(line)) inBlock = !line.includes("</");
    const words = inBlock ? [] : readWords(line);
    const [name = "", file, direction] = Array.isArray(words) ? words : [];
    if (file === undefined || !filesWorthInlining.includes(name) || file === "[inline]") {
      lines.push(line);
      continue;
    }
    const content = await readBounded(resolve(dirname(path), file), `file for ${name}`);
    lines.push(`<${name}>`, content.trim(), `</${name}>`);
    if (direction !== undefined && name === "tls-auth") lines.push(`key-direction ${direction}`);
  }
  return lines.join("\n");
}

async function readBounded(path: string, what: string): Promise<string> {
  try {
    const facts = await stat(path);
    if (!facts.isFile() || facts.size > mostBytes) throw new Error("it is no file of a client config's size");
    return await readFile(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === "ENOENT" ? "there is no such file" : code === "EACCES" ? "this account may not read it" : message;
    throw new AgentFailure("faulty-file", `The ${what} ${path} cannot be read: ${why}.`);
  }
}
