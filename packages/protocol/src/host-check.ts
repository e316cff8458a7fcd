import { block, blockIn } from "./agent-config.ts";
import { type ScriptPlatform, scriptPlatforms } from "./client-scripts.ts";

/** One program that clients look for: its answer is sent as `UV_APPVER_<name>`. */
export type AppQuery = {
  platform: ScriptPlatform;
  name: string;
  /** What the name of an application is matched with, not anchored; `(?i)` in front: whatever its case. */
  regex: string;
};

/** What is sent in place of a version. */
export const appErrors = ["ERR_NOT_FOUND", "ERR_NO_VERSION", "ERR_MANY_FOUND", "ERR_REGEX"] as const;

const blockName = "OVPN_ACCESS_SERVER_APP_VERIFY";
const mostLineBytes = 240;
const mostQueries = 100;

/**
 * Reads `vpn.client.app_verify`: lines `[PLATFORM:]NAME=REGEX`, or `NAME=REGEX` under a section line `['win']`. Blank
 * lines and lines that begin with `#` say nothing. Faults name the line, from 1.
 */
export function parseAppVerify(text: string): { queries: AppQuery[]; faults: { line: number; message: string }[] } {
  const queries: AppQuery[] = [];
  const faults: { line: number; message: string }[] = [];
  let section: ScriptPlatform = "all";
  for (const [index, given] of text.split(/\r?\n/).entries()) {
    const line = given.trim();
    const refuse = (message: string) => faults.push({ line: index + 1, message });
    if (line === "" || line.startsWith("#")) continue;
    const head = /^\[\s*(?:(['"])(.*?)\1|([^'"\]]*?))\s*\]$/.exec(line);
    if (head) {
      const named = head[2] ?? head[3] ?? "";
      if (isPlatform(named)) section = named;
      else refuse(`the section ${line.slice(0, 40)} is no platform: ${platformWords}`);
      continue;
    }
    const read = readQuery(line, section);
    if (typeof read === "string") refuse(read);
    else if (queries.some(({ platform, name }) => platform === read.platform && name === read.name))
      refuse(`${read.name} is asked twice for ${read.platform}`);
    else if (queries.length >= mostQueries) refuse(`there are more than ${mostQueries} questions`);
    else queries.push(read);
  }
  return { queries, faults };
}

const platformWords = "write ['win'], ['mac'], ['linux'] or ['all']";

function readQuery(line: string, section: ScriptPlatform): AppQuery | string {
  const equals = line.indexOf("=");
  if (equals < 0) return "expected NAME=REGEX or PLATFORM:NAME=REGEX";
  const before = line.slice(0, equals).trim();
  const regex = line.slice(equals + 1).trim();
  const colon = before.indexOf(":");
  const platform = colon < 0 ? section : before.slice(0, colon).trim();
  const name = before.slice(colon + 1).trim();
  if (!isPlatform(platform)) return `${JSON.stringify(platform.slice(0, 40))} is no platform: win, mac, linux or all`;
  if (!/^[A-Za-z0-9_]{1,64}$/.test(name)) return "the name before = is 1 to 64 letters, digits and underscores";
  if (regex === "") return `${name} has no regular expression behind the =`;
  if (/\p{Cc}/u.test(regex)) return `the regular expression of ${name} holds control characters`;
  if (Buffer.byteLength(queryLine({ platform, name, regex })) > mostLineBytes)
    return `the line of ${name} is longer than ${mostLineBytes} bytes, which client configs cannot hold`;
  const compiled = compileAppRegex(regex);
  if (!(compiled instanceof RegExp)) return `the regular expression of ${name} cannot be read: ${compiled.fault}`;
  return { platform, name, regex };
}

/** A regular expression as it is meant: `(?i)` in front, which other languages write, is understood. */
export function compileAppRegex(regex: string): RegExp | { fault: string } {
  const [, flag, rest = regex] = /^(\(\?i\))(.*)$/s.exec(regex) ?? [];
  try {
    return new RegExp(rest, flag === undefined ? "" : "i");
  } catch (error) {
    return { fault: (error as Error).message.replace(/^Invalid regular expression: /, "") };
  }
}

/** The comment lines of a client config; none where nothing is asked. */
export function appVerifyLines(queries: readonly AppQuery[]): string[] {
  return queries.length === 0 ? [] : block(blockName, queries.map(queryLine));
}

/** What a client config asks of its client; what cannot be read is answered by nobody and reported. */
export function readAppVerify(configText: string): ReturnType<typeof parseAppVerify> {
  return parseAppVerify((blockIn(configText.split(/\r?\n/), blockName) ?? []).join("\n"));
}

function queryLine({ platform, name, regex }: AppQuery): string {
  return `${platform}:${name}=${regex}`;
}

function isPlatform(text: string): text is ScriptPlatform {
  return (scriptPlatforms as readonly string[]).includes(text);
}
