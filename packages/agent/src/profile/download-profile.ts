import { readFile } from "node:fs/promises";
import { get } from "node:https";
import { AgentFailure } from "../failure.ts";
import { onOneLine } from "../fit-for-terminal.ts";
import { answerText } from "../server/answer-text.ts";
import { isOfUnknownAuthority, withAuthorities } from "../server/authorities.ts";
import type { Answers } from "../tunnel/tunnel.ts";

const mostBytes = 512 * 1024;
const deadlineMs = 30_000;
/** As many as a server can be told to ask at most (its scripts.mostQuestions). */
const mostQuestions = 100;
/** Where Access Server, and what speaks as it does, hands out the client config of whoever signs in. */
const usualPath = "/rest/GetUserlogin?tls-cryptv2=1&action=import";

/** What a VPN server took at its own address, and will want again at the tunnel's. */
export type SignedIn = { user: string; password: string };
export type DownloadedProfile = { text: string; signedIn: SignedIn | undefined };

/**
 * A client config from an https address, with user name and password where the server asks for them (Basic), and answers
 * to the questions that it puts (CRV1, as Access Server words them). An address without a path is a server's.
 * @throws AgentFailure `faulty-file`, `unreachable`, `wrong-credentials`, `refused`
 */
export async function downloadProfile(
  source: string,
  caFile: string | undefined,
  answers: Answers,
): Promise<DownloadedProfile> {
  const given = new URL(source);
  if (given.protocol !== "https:")
    throw new AgentFailure("faulty-file", "A client config is fetched over https only.", "Write https://…");
  if (given.username !== "" || given.password !== "")
    throw new AgentFailure("usage", "A password does not belong into an address.", "Say --user; you are asked for it.");
  const isServer = given.pathname === "/" && given.search === "";
  const url = isServer ? new URL(usualPath, given) : given;
  const ca = caFile === undefined ? null : await readAuthority(caFile);
  const ask = (basic?: string) => withAuthorities(ca, (authorities) => fetchText(url, authorities, basic));
  const first = await tried(url, ask());
  if (first.status !== 401) return { text: configOf(url, first), signedIn: undefined };
  const user = await answers.user();
  const typed = await answers.password(`Password for ${onOneLine(user)} at ${url.host}: `);
  let password = typed;
  for (let questions = 0; ; questions += 1) {
    const answer = await tried(url, ask(Buffer.from(`${user}:${password}`).toString("base64")));
    if (answer.status === 200) {
      // Another web server's password is none of the VPN's.
      return { text: answer.text, signedIn: isServer ? { user, password: typed } : undefined };
    }
    const said = messageOf(answer.text);
    const [, flags = "", state = "", question = ""] = /^CRV1:([^:]*):([^:]*):[^:]*:(.*)$/s.exec(said) ?? [];
    if (state !== "" && questions < mostQuestions) {
      const reply = await answers.answer({ text: question, echo: flags.split(",").includes("E") });
      password = `CRV1::${state}::${reply}`;
    } else if (answer.status === 401 && (said === "" || said.includes("(9007)"))) {
      throw new AgentFailure("wrong-credentials", "The user name or the password is wrong.", "Try again.");
    } else if (said !== "") throw new AgentFailure("refused", `${url.host} refuses: ${onOneLine(said)}`);
    else throw noConfig(url, answer.status);
  }
}

async function readAuthority(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new AgentFailure(
    "faulty-file",
    `${path} holds no certificate.`,
    "--ca takes an authority's certificate in PEM.",
  );
}

function configOf(url: URL, { status, text }: { status: number; text: string }): string {
  if (status === 200) return text;
  throw noConfig(url, status);
}

function noConfig(url: URL, status: number): AgentFailure {
  return new AgentFailure(
    "unreachable",
    `${url.host} has no client config for you at ${url.pathname} (HTTP status ${status}).`,
    "Ask your administrator for the right address, or for the file.",
  );
}

/** Of Access Server's errors in XML; empty where it is something else. */
function messageOf(text: string): string {
  const [, message = ""] = /^\s*(?:<\?xml[^>]*>)?\s*<Error>.*<Message>([^<]*)<\/Message>/s.exec(text) ?? [];
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return message.replace(/&(lt|gt|quot|apos|amp);/g, (_all, name: string) => entities[name] ?? "").trim();
}

async function tried<Answer>(url: URL, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    const { name, message } = error as Error;
    const own = "If it has an authority of its own, name its certificate: --ca FILE.";
    const network = "Check the address, and that this machine has a network.";
    const why = name === "AbortError" || name === "TimeoutError" ? "it does not answer in time" : message;
    throw new AgentFailure(
      "unreachable",
      `${url.host} cannot be asked for the client config: ${why}.`,
      isOfUnknownAuthority(error) ? own : network,
    );
  }
}

function fetchText(url: URL, ca: string[], basic: string | undefined): Promise<{ status: number; text: string }> {
  return new Promise((done, reject) => {
    const headers = basic === undefined ? {} : { authorization: `Basic ${basic}` };
    const call = get(url, { headers, ca, agent: false, signal: AbortSignal.timeout(deadlineMs) }, (response) => {
      answerText(response, mostBytes, "the answer is too long for a client config").then(
        (text) => done({ status: response.statusCode ?? 0, text }),
        reject,
      );
    });
    call.on("error", reject);
  });
}
