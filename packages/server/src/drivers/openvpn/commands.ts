import { ticketEcho } from "@sallyport/protocol";
import { parseAddress, parseRange } from "../../core/address-range.ts";
import { SallyportError } from "../../core/errors.ts";
import type { Admission, Question } from "../driver.ts";
import {
  mostClientTextBytes,
  mostCommandLineBytes,
  mostConfigLineBytes,
  onOneLine,
  quoteText,
  quoteWord,
} from "./quoting.ts";

/** One command and what its reply looks like: a line of `SUCCESS:` or `ERROR:`, or lines up to `END`. */
export type Command = { lines: readonly string[]; reply: "line" | "list" };

/** A client and one of its TLS keys as OpenVPN numbers them. */
export type ClientKey = { cid: number; kid: number };

/** A text that could not be sent as it was, for the log. */
export type AlteredText = { what: "reason" | "client reason" | "question"; original: string };

/** Commands that may have had to shorten or clean a text for people. */
export type Told = { commands: Command[]; altered: AlteredText[] };

/** OpenVPN's own time for a TLS handshake, ours and the clients' alike: clients give up a push wait after it. */
export const handWindowSeconds = 60;

const mostRoutes = 256;
const mostNameServers = 16;
/** What a question has at least, beside the name and the state it carries. */
const leastQuestionBytes = 40;

/** The bytes as they go to the socket. @throws RangeError where a line breaks a bound: nothing is sent then. */
export function encodeCommands(commands: readonly Command[]): Buffer {
  const lines = commands.flatMap((command) => command.lines);
  for (const line of lines) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a line break would begin another command.
    if (/[\u0000-\u001f\u007f]/.test(line) || !line.isWellFormed() || Buffer.byteLength(line) > mostCommandLineBytes) {
      throw new RangeError(`no command line for OpenVPN: ${JSON.stringify(line.slice(0, 100))}`);
    }
  }
  return Buffer.from(lines.map((line) => `${line}\n`).join(""));
}

/** A command without free text. */
export function plainCommand(word: string, ...args: readonly (string | number)[]): Command {
  return { lines: [[word, ...args.map((arg) => quoteWord(`${arg}`))].join(" ")], reply: "line" };
}

export function listCommand(word: string, ...args: readonly (string | number)[]): Command {
  return { ...plainCommand(word, ...args), reply: "list" };
}

/**
 * Makes OpenVPN act on an answer at once instead of at the client's next packet (1 to 5 s later). Belongs into the same
 * write as the answer. The text is neutral: clients would act on the known ones; 60 s changes nothing for the client.
 */
export function wakeUp({ cid, kid }: ClientKey): Command {
  return plainCommand("client-pending-auth", cid, kid, "X_WAKE:", handWindowSeconds);
}

/** Tells a client that understands it how many seconds the answer may take. */
export function pendingAuth({ cid, kid }: ClientKey, seconds: number): Command {
  return plainCommand("client-pending-auth", cid, kid, "X_WAIT:", Math.ceil(seconds));
}

/** Yes at a renegotiation: the tunnel goes on as it is. */
export function admitAgain({ cid, kid }: ClientKey): Command {
  return plainCommand("client-auth-nt", cid, kid);
}

/**
 * Yes at a connect, with everything the client gets.
 * @throws SallyportError `invalid-input` where the admission holds something that is no address or range.
 */
export function admitClient({ cid, kid }: ClientKey, admission: Admission, pushed: readonly string[]): Command {
  const lines = [...addressLines(admission), ...routeLines(admission.routes), ...dnsLines(admission.dns)];
  lines.push(...pushed.map(push));
  if (admission.ticket) lines.push(push(ticketEcho(admission.ticket)));
  for (const line of lines) {
    if (Buffer.byteLength(line) > mostConfigLineBytes || line === "END") throw unusable("line", line);
  }
  return { lines: [`client-auth ${cid} ${kid}`, ...lines, "END"], reply: "line" };
}

function addressLines({ ipv4, ipv6 }: Admission): string[] {
  const lines = [push("topology subnet")];
  if (ipv4 !== null) {
    const netmask = netmaskOf(ipv4.prefixLength);
    lines.push(`ifconfig-push ${addressOf(ipv4.address, 4)} ${netmask}`);
    lines.push(push(`route-gateway ${addressOf(ipv4.gateway, 4)}`));
  }
  if (ipv6 !== null) {
    const { prefixLength } = ipv6;
    if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > 128)
      throw unusable("prefix length", `${prefixLength}`);
    lines.push(`ifconfig-ipv6-push ${addressOf(ipv6.address, 6)}/${prefixLength} ${addressOf(ipv6.gateway, 6)}`);
  }
  return lines;
}

function routeLines(routes: readonly string[]): string[] {
  if (routes.length > mostRoutes) throw unusable("number of routes", `${routes.length}`);
  const ranges = routes.map((route) => {
    const range = parseRange(route);
    if (range === undefined) throw unusable("route", route);
    return range;
  });
  const everything = (family: 4 | 6) => ranges.some((range) => range.family === family && range.prefixLength === 0);
  const lines = ranges
    .filter((range) => range.prefixLength > 0)
    .map(({ family, cidr, prefixLength }) =>
      family === 6 ? push(`route-ipv6 ${cidr}`) : push(`route ${cidr.split("/")[0]} ${netmaskOf(prefixLength)}`),
    );
  // A bare default route would take the packets to the server itself; redirect-gateway keeps those outside.
  const flags = [...(everything(4) ? ["def1"] : ["!ipv4"]), ...(everything(6) ? ["ipv6"] : [])];
  if (everything(4) || everything(6)) lines.push(push(`redirect-gateway ${flags.join(" ")}`));
  return lines;
}

function dnsLines(servers: readonly string[]): string[] {
  if (servers.length > mostNameServers) throw unusable("number of name servers", `${servers.length}`);
  return servers.map((server) => {
    const address = parseAddress(server);
    if (address === undefined) throw unusable("name server", server);
    return push(`dhcp-option ${address.includes(":") ? "DNS6" : "DNS"} ${address}`);
  });
}

function push(option: string): string {
  return `push ${quoteWord(option)}`;
}

function addressOf(text: string, family: 4 | 6): string {
  const address = parseAddress(text);
  if (address === undefined || address.includes(":") !== (family === 6)) throw unusable(`IPv${family} address`, text);
  return address;
}

/** `255.255.240.0` for 20. */
export function netmaskOf(prefixLength: number): string {
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > 32)
    throw unusable("prefix length", `${prefixLength}`);
  const mask = prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255).join(".");
}

function unusable(what: string, text: string): SallyportError {
  return new SallyportError(
    "invalid-input",
    `OpenVPN cannot be given this ${what}: ${JSON.stringify(text.slice(0, 100))}; mend the profile or the property`,
  );
}

/** Flags of a client's IV_PROTO, as OpenVPN 2.6 defines them (src/openvpn/ssl.h). */
export const protocolFlags = { authPendingKeyword: 1 << 4, authFailTemporary: 1 << 8 } as const;

/**
 * No. The client reason comes first when room is short: the log has the whole reason already. `TEMP[backoff N]` makes
 * clients that know it (2.6) try again by themselves; others would show it to the person.
 */
export function denyClient(
  { cid, kid }: ClientKey,
  denial: { reason: string; clientReason: string; retryAfterSeconds?: number | undefined; knowsTemporary: boolean },
): Told {
  const { retryAfterSeconds } = denial;
  const text =
    retryAfterSeconds !== undefined && denial.knowsTemporary
      ? `TEMP[backoff ${Math.max(1, Math.ceil(retryAfterSeconds))}]:${denial.clientReason}`
      : plainReason(denial.clientReason);
  return deny({ cid, kid }, denial.reason, text, "client reason");
}

/** A question by way of a refusal (`CRV1`); the answer comes with a new connect, as the password. */
export function questionAsRefusal({ cid, kid }: ClientKey, question: Question): Told {
  const user = Buffer.from(question.userName).toString("base64");
  const head = `CRV1:${flagsOf(question)}:${stateIdOf(question)}:${user}:`;
  if (head.length > mostClientTextBytes - leastQuestionBytes) throw unusable("user name", question.userName);
  return deny({ cid, kid }, "a question was asked", `${head}${question.text}`, "question");
}

/**
 * A question to a client that understands `CR_TEXT`; the answer comes as CR_RESPONSE of the same key. One that is
 * answered in a browser goes to clients that understand `WEB_AUTH`.
 */
export function questionAsText({ cid, kid }: ClientKey, question: Question): Told {
  const bounds = { mostBytes: mostClientTextBytes, mostQuotedBytes: mostCommandLineBytes - 64 };
  const { url } = question;
  const plain = url === undefined ? `CR_TEXT:${flagsOf(question)}:${question.text}` : `WEB_AUTH::${url}`;
  const text = quoteText(plain, bounds);
  // Half a URL leads nowhere.
  if (url !== undefined && text.altered) throw unusable("URL", url);
  const words = `client-pending-auth ${cid} ${kid} ${text.text} ${Math.ceil(question.waitMs / 1_000)}`;
  return {
    commands: [{ lines: [words], reply: "line" }],
    altered: text.altered ? [{ what: "question", original: question.text }] : [],
  };
}

function flagsOf({ responseRequired, echo }: Question): string {
  return [...(responseRequired ? ["R"] : []), ...(echo ? ["E"] : [])].join(",");
}

function stateIdOf({ stateId }: Question): string {
  if (!/^[\w-]{1,64}$/.test(stateId)) throw unusable("challenge state", stateId);
  return stateId;
}

function deny({ cid, kid }: ClientKey, reason: string, text: string, what: AlteredText["what"]): Told {
  const words = `client-deny ${cid} ${kid}`;
  const left = mostCommandLineBytes - words.length - 2;
  // Room that the reason always has.
  const client = quoteText(text, { mostBytes: mostClientTextBytes, mostQuotedBytes: left - 200 });
  const logged = quoteText(reason, {
    mostBytes: mostClientTextBytes,
    mostQuotedBytes: left - Buffer.byteLength(client.text),
  });
  return {
    commands: [{ lines: [`${words} ${logged.text} ${client.text}`], reply: "line" }],
    altered: [
      ...(client.altered ? [{ what, original: text }] : []),
      ...(logged.altered ? [{ what: "reason" as const, original: reason }] : []),
    ],
  };
}

/** Words that clients act on when a reason begins with them stay words for people behind a space. */
function plainReason(clientReason: string): string {
  return /^(CRV1:|TEMP|SESSION:)/.test(clientReason) ? ` ${clientReason}` : clientReason;
}

/** Ends a tunnel that is up: the client is told, the server itself lets go within 6 s. */
export function killClient(cid: number, options: { mayReturn: boolean; clientReason: string | null }): Told {
  const word = options.mayReturn ? "RESTART" : "HALT";
  const original = options.clientReason ?? "";
  // What stands in square brackets at the beginning is flags to the client.
  const reason = onOneLine(original).replace(/^\s*\[/, "(");
  const message = quoteText(reason === "" ? word : `${word},${reason}`, {
    mostBytes: mostClientTextBytes,
    mostQuotedBytes: mostCommandLineBytes - 32,
  });
  return {
    commands: [{ lines: [`client-kill ${cid} ${message.text}`], reply: "line" }],
    altered: message.altered || reason !== original ? [{ what: "client reason", original }] : [],
  };
}
