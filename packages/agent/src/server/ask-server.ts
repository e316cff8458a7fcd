import { request } from "node:https";
import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import type { AgentConfig, AgentRefusal } from "@sallyport/protocol";
import { answerText } from "./answer-text.ts";
import { isOfUnknownAuthority, withAuthorities } from "./authorities.ts";

/** The server's own refusal: asking again has no sense. */
export class ServerRefusal extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * POSTs JSON to the agent API and gives the text of the answer. The server's certificate must be that of the URL's host,
 * from the CA of the client config, a public one, or one that the machine trusts.
 * @throws ServerRefusal where it says no; Error where it cannot be reached, or answers too much or too slowly
 */
export async function askServer(options: AskOptions): Promise<string> {
  try {
    return await withAuthorities(options.config.caPem, (authorities) => askOnce(options, authorities));
  } catch (error) {
    if (!isOfUnknownAuthority(error)) throw error;
    const host = new URL(options.config.url).host;
    throw new Error(
      `the certificate of ${host} is of no authority that the client config or this machine knows; ask your administrator for a new client config`,
    );
  }
}

type AskOptions = {
  config: Pick<AgentConfig, "url" | "address" | "caPem">;
  path: string;
  body: object;
  deadlineMs: number;
  mostBytes: number;
  signal?: AbortSignal | undefined;
};

function askOnce({ config, path, body, deadlineMs, mostBytes, signal }: AskOptions, ca: string[]): Promise<string> {
  const url = new URL(config.url + path);
  const { address } = config;
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return new Promise((resolve, reject) => {
    const sent = Buffer.from(JSON.stringify(body));
    const deadline = AbortSignal.timeout(deadlineMs);
    const failed = (error: unknown) => reject(deadline.aborted ? inTime() : error);
    const call = request(
      url,
      {
        method: "POST",
        agent: false,
        headers: { "content-type": "application/json", "content-length": sent.length, host: url.host },
        ca,
        // Another address, the same certificate.
        ...(address !== null && {
          hostname: address,
          checkServerIdentity: (_host: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate),
          ...(isIP(host) === 0 && { servername: host }),
        }),
        signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      },
      (response) => {
        answerText(response, mostBytes, "the server's answer is too long").then((text) => {
          if (response.statusCode === 200) resolve(text);
          else reject(refusalOf(text, response.statusCode ?? 0));
        }, failed);
      },
    );
    call.on("error", failed);
    call.end(sent);
  });
}

/** It may be worth to ask again: the server lets nothing through before its hooks have said yes. */
function inTime(): Error {
  return Object.assign(new Error("the server does not answer in time"), { code: "ETIMEDOUT" });
}

function refusalOf(text: string, status: number): Error {
  try {
    const { code, message } = (JSON.parse(text) as AgentRefusal).error;
    if (typeof code === "string" && typeof message === "string") return new ServerRefusal(code, message);
  } catch {
    // Not from the agent API.
  }
  return new Error(`the server answers with HTTP status ${status}`);
}
