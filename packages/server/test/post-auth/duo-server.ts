import { execFile } from "node:child_process";
import { createHmac, timingSafeEqual } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

const run = promisify(execFile);

export const keys = { integrationKey: "DIWJ8X6AEYOR5OMC6TQ1", secretKey: "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep" };

export type Asked = { path: string; parameters: Record<string, string> };

/** What the server answers: a response, a status with a body of one's own, or nothing before the client goes away. */
export type DuoAnswer = { response: object } | { status: number; body: string } | "silence" | "hang-up";

export type DuoServer = {
  /** For the setting `apiHost`. */
  apiHost: string;
  caPem: string;
  /** Requests whose signatures were right, in order. */
  asked: Asked[];
  /** Why requests were not accepted. */
  rejected: string[];
  /** How many connections wait for an answer. */
  waiting(): number;
  answer: (asked: Asked) => DuoAnswer | Promise<DuoAnswer>;
  close(): Promise<void>;
};

export type TestCertificate = { key: string; certificate: string };

/** A certificate of its own for a name; who trusts it trusts nothing else. */
export async function certificateFor(name: string): Promise<TestCertificate> {
  const directory = await mkdtemp(join(tmpdir(), "duo-"));
  try {
    const file = (one: string) => join(directory, one);
    const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    const names = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
    await run("openssl", ["req", ...kind, ...names, "-keyout", file("key"), "-out", file("certificate")]);
    return { key: await readFile(file("key"), "utf8"), certificate: await readFile(file("certificate"), "utf8") };
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** The verifying half of Duo's Auth API, written from its documentation. */
export async function startDuo(options: { certificate: TestCertificate; digest?: string }): Promise<DuoServer> {
  const { certificate, digest = "sha512" } = options;
  let waiting = 0;
  const server = createServer({ key: certificate.key, cert: certificate.certificate }, (request, response) => {
    handle(request, response).catch(() => response.destroy());
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const send = (status: number, sent: string) =>
      response.writeHead(status, { "content-type": "application/json" }).end(sent);
    const fault = faultOf(request, body, digest);
    if (fault !== undefined) {
      duo.rejected.push(fault);
      send(401, JSON.stringify({ stat: "FAIL", code: 40103, message: "Invalid signature in request credentials" }));
      return;
    }
    const asked = { path: request.url ?? "", parameters: Object.fromEntries(new URLSearchParams(body)) };
    duo.asked.push(asked);
    const answer = await duo.answer(asked);
    if (answer === "silence") {
      waiting += 1;
      response.once("close", () => {
        waiting -= 1;
      });
    } else if (answer === "hang-up") response.destroy();
    else if ("status" in answer) send(answer.status, answer.body);
    else send(200, JSON.stringify({ stat: "OK", response: answer.response }));
  }

  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const duo: DuoServer = {
    apiHost: `localhost:${(server.address() as AddressInfo).port}`,
    caPem: certificate.certificate,
    asked: [],
    rejected: [],
    waiting: () => waiting,
    answer: () => ({ response: {} }),
    async close() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
  return duo;
}

/** What is wrong with a request's credentials; undefined for one that Duo would accept. */
export function faultOf(
  request: Pick<IncomingMessage, "method" | "url" | "headers">,
  body: string,
  digest: string,
): string | undefined {
  const { date = "", authorization = "", host = "" } = request.headers;
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} [+-]\d{4}$/.test(date)) return "no RFC 2822 date";
  if (Math.abs(Date.parse(date) - Date.now()) > 5 * 60_000) return "another time";
  if (request.headers["content-type"] !== "application/x-www-form-urlencoded") return "another kind of body";
  const [scheme, credentials = ""] = authorization.split(" ");
  const [name, signature = ""] = Buffer.from(credentials, "base64").toString("utf8").split(":");
  if (scheme !== "Basic" || name !== keys.integrationKey) return "another integration key";
  const given = [...new URLSearchParams(body)];
  const sorted = given.toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const lines = [date, request.method, host.split(":")[0]?.toLowerCase(), request.url];
  const signed = [...lines, sorted.map((pair) => pair.map(quoted).join("=")).join("&")].join("\n");
  const expected = createHmac(digest, keys.secretKey).update(signed).digest("hex");
  const isRight =
    signature.length === expected.length && timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
  return isRight ? undefined : "another signature";
}

/** RFC 3986: all but letters, digits, hyphen, period, underscore and tilde, byte by byte, in capitals. */
function quoted(value: string): string {
  return [...Buffer.from(value)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9._~-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}
