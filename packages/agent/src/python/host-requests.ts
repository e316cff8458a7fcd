import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { getCACertificates } from "node:tls";
import type { HostAnswer } from "./host-calls.ts";
import type { Streams } from "./host-streams.ts";

export type HttpRequest = {
  /** `http://host:port` */
  url: string;
  /** Path and query; behind a proxy the whole URL. */
  path: string;
  method: string;
  headers: Record<string, string>;
  /** Longest silence. */
  seconds?: number | null;
  insecure?: boolean;
};

/** One request, without following redirects: urllib does that. The answer's body is a stream. */
export function requestOverHttp(request: HttpRequest, body: Uint8Array | undefined, streams: Streams) {
  return new Promise<HostAnswer>((answered, failed) => {
    const secure = request.url.startsWith("https:");
    const send = secure ? tlsRequest : plainRequest;
    const sent = send(
      request.url,
      {
        path: request.path,
        method: request.method,
        headers: { ...request.headers, ...(body === undefined ? {} : { "Content-Length": body.length }) },
        agent: false,
        // Companies sign their own servers and have every machine of theirs trust them.
        ...(secure ? { ca: [...getCACertificates("default"), ...getCACertificates("system")] } : {}),
        ...(secure && request.insecure ? { rejectUnauthorized: false } : {}),
      },
      (answer) => {
        const pairs = answer.rawHeaders;
        answered({
          status: answer.statusCode,
          reason: answer.statusMessage,
          headers: pairs.flatMap((name, i) => (i % 2 === 0 ? [[name, pairs[i + 1]]] : [])),
          stream: streams.addReader(answer),
        });
      },
    );
    sent.on("error", failed);
    if (typeof request.seconds === "number") {
      sent.setTimeout(Math.max(request.seconds * 1000, 1), () => {
        sent.destroy(Object.assign(new Error("timed out"), { code: "ETIMEDOUT" }));
      });
    }
    sent.end(body);
  });
}
