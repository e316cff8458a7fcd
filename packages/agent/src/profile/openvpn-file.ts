import { AgentFailure } from "../failure.ts";
import { allowedDirectives, connectionDirectives, keyBlocks, silentlyLeft } from "./directives.ts";
import { quoteWord, readWords } from "./words.ts";

/** A client config as the agent understands it. */
export type OpenVpnProfile = {
  /** What OpenVPN is given: the lines and blocks that pass, and nothing else. */
  text: string;
  remotes: readonly { host: string; port: string; protocol: string }[];
  /** The server asks for a user name and a password. */
  asksPassword: boolean;
  /** PEM, for asking the server itself too. */
  caPem: string | undefined;
  friendlyName: string | undefined;
  /** Lines that were left out, for people. */
  leftOut: readonly string[];
};

const mostBytes = 512 * 1024;
const longestLine = 255;

/**
 * Reads a client config and keeps of it what can do no harm (see directives.ts). Keys and certificates must be in the
 * file itself; `readProfileFile` puts them there.
 * @throws AgentFailure `faulty-file`, with the line
 */
export function readOpenVpnProfile(text: string): OpenVpnProfile {
  if (Buffer.byteLength(text) > mostBytes) throw faulty("it is longer than any client config");
  if (text.includes("\0")) throw faulty("it holds NUL bytes, so it is no client config");
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  const kept: string[] = [];
  const leftOut: string[] = [];
  const remotes: string[][] = [];
  let asksPassword = false;
  let protocol = "udp";
  let port = "1194";
  let caPem: string | undefined;
  let friendlyName: string | undefined;
  let block: { name: string; from: number; lines: string[] } | undefined;
  let inConnection = false;

  for (const [index, line] of lines.entries()) {
    const here = `line ${index + 1}`;
    if (block !== undefined) {
      if (line.trim() !== `</${block.name}>`) {
        block.lines.push(line.trim());
        continue;
      }
      if (block.name === "auth-user-pass") leftOut.push(`${here}: the password in the file (the agent asks for it)`);
      else if (!keyBlocks.includes(block.name)) leftOut.push(`line ${block.from}: <${block.name}>`);
      else kept.push(`<${block.name}>`, ...keyLines(block), `</${block.name}>`);
      if (block.name === "ca") caPem = `${block.lines.join("\n")}\n`;
      if (block.name === "auth-user-pass") asksPassword = true;
      block = undefined;
      continue;
    }
    const opening = /^\s*<(\/?)([a-z0-9-]+)>\s*$/.exec(line);
    if (opening?.[2] === "connection") {
      inConnection = opening[1] === "";
      kept.push(inConnection ? "<connection>" : "</connection>");
      continue;
    }
    if (opening) {
      if (opening[1] !== "") throw faulty(`${here} ends a block that was not begun`);
      block = { name: opening[2] ?? "", from: index + 1, lines: [] };
      continue;
    }
    if (Buffer.byteLength(line) > longestLine && !/^\s*[#;]/.test(line))
      throw faulty(`${here} is longer than OpenVPN reads`);
    const words = readWords(line);
    if (!Array.isArray(words)) throw faulty(`${here} cannot be read: ${words.fault}`);
    let [name = "", ...rest] = words;
    if (name === "") continue;
    name = name.replace(/^--/, "");
    // Options that older clients may not know are written so.
    if ((name === "setenv" || name === "setenv-safe") && rest[0] === "opt") [name = "", ...rest] = rest.slice(1);
    if (name === "setenv" && rest[0] === "FRIENDLY_NAME") friendlyName = rest[1];
    if (name === "auth-user-pass") {
      asksPassword = true;
      if (rest.length > 0) leftOut.push(`${here}: the password file (the agent asks for the password)`);
      continue;
    }
    if (silentlyLeft.includes(name)) continue;
    const allowed = Object.hasOwn(allowedDirectives, name) ? allowedDirectives[name] : undefined;
    if (allowed === undefined || (inConnection && !connectionDirectives.includes(name))) {
      leftOut.push(`${here}: ${name}`);
      continue;
    }
    if (rest.length < allowed.least || rest.length > allowed.most || !rest.every((word) => allowed.each.test(word)))
      throw faulty(`${here} says what ${name} cannot be`);
    if (name === "proto") protocol = rest[0] ?? protocol;
    if (name === "port" || name === "rport") port = rest[0] ?? port;
    if (name === "remote") remotes.push(rest);
    kept.push([name, ...rest.map(quoteWord)].join(" "));
  }
  if (block !== undefined) throw faulty(`the block <${block.name}> of line ${block.from} has no end`);
  if (remotes.length === 0) throw faulty("it names no server (remote)");
  if (caPem === undefined && !kept.includes("<peer-fingerprint>") && !kept.some((one) => one.startsWith("peer-fing")))
    throw faulty("it does not say by which authority (ca) the server is known");
  return {
    text: `${[...kept, ...(asksPassword ? ["auth-user-pass"] : [])].join("\n")}\n`,
    remotes: remotes.map(([host = "", at = port, over = protocol]) => ({ host, port: at, protocol: over })),
    asksPassword,
    caPem,
    friendlyName,
    leftOut,
  };
}

/** Base64, PEM borders, and what tools write around them; nothing that could be another block. */
function keyLines(block: { name: string; from: number; lines: string[] }): string[] {
  const wrong = block.lines.findIndex((line) => line.startsWith("<") || line.length > longestLine);
  if (wrong >= 0) throw faulty(`line ${block.from + 1 + wrong} does not belong into <${block.name}>`);
  return block.lines;
}

function faulty(what: string): AgentFailure {
  return new AgentFailure(
    "faulty-file",
    `The client config cannot be used: ${what}.`,
    "Get it anew from your administrator.",
  );
}
