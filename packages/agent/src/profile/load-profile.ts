import { readFile, stat } from "node:fs/promises";
import { get } from "node:https";
import { basename, dirname, resolve } from "node:path";
import { type AgentConfig, readAgentConfig } from "@sallyport/protocol";
import { AgentFailure } from "../failure.ts";
import type { Answers } from "../tunnel/tunnel.ts";
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
} & ({ protocol: "openvpn"; openvpn: OpenVpnProfile } | { protocol: "wireguard"; wireguard: WireGuardProfile });

const mostBytes = 512 * 1024;
const deadlineMs = 30_000;
const filesWorthInlining = ["ca", "cert", "key", "extra-certs", "tls-auth", "tls-crypt", "tls-crypt-v2", "crl-verify"];

/**
 * Reads a client config from a file or an https URL.
 * @throws AgentFailure `faulty-file`, `unreachable`, `wrong-credentials`
 */
export async function loadProfile(source: string, answers: Answers): Promise<Profile> {
  const isUrl = /^https?:\/\//i.test(source);
  const text = isUrl ? await download(source, answers) : await readWithFiles(source);
  const name = isUrl ? new URL(source).host : basename(source);
  const agentConfig = agentConfigOf(text);
  if (/^\s*\[Interface\]/im.test(text)) {
    const wireguard = readWireGuardProfile(text);
    const server = (wireguard.endpoint ?? "the peer").replace(/:\d+$/, "");
    return { name, text, agentConfig, server, protocol: "wireguard", wireguard };
  }
  const openvpn = readOpenVpnProfile(text);
  const withCa = agentConfig && { ...agentConfig, caPem: agentConfig.caPem ?? openvpn.caPem ?? null };
  const server = openvpn.remotes[0]?.host ?? "";
  return { name, text, agentConfig: withCa, server, protocol: "openvpn", openvpn };
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

/** With user name and password where the server asks for them. */
async function download(source: string, answers: Answers): Promise<string> {
  const url = new URL(source);
  if (url.protocol !== "https:") throw new AgentFailure("faulty-file", "A client config is fetched over https only.");
  const first = await fetchText(url, undefined);
  if (first.status !== 401) return textOf(first);
  const user = await answers.user();
  const password = await answers.password(`Password for ${user} at ${url.host}: `);
  const second = await fetchText(url, Buffer.from(`${user}:${password}`).toString("base64"));
  if (second.status === 401) throw new AgentFailure("wrong-credentials", "The user name or the password is wrong.");
  return textOf(second);

  function textOf({ status, text }: { status: number; text: string }): string {
    if (status === 200) return text;
    throw new AgentFailure("unreachable", `${url.host} gives no client config (HTTP status ${status}).`);
  }
}

function fetchText(url: URL, basic: string | undefined): Promise<{ status: number; text: string }> {
  return new Promise((done, reject) => {
    const headers = basic === undefined ? {} : { authorization: `Basic ${basic}` };
    const call = get(url, { headers, signal: AbortSignal.timeout(deadlineMs) }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString("utf8");
        if (text.length > mostBytes) call.destroy(new Error("the answer is too long for a client config"));
      });
      response.on("end", () => done({ status: response.statusCode ?? 0, text }));
    });
    call.on("error", (error) =>
      reject(new AgentFailure("unreachable", `${url.host} cannot be asked for the client config: ${error.message}.`)),
    );
  });
}
