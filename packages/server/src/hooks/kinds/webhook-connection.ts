import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { Agent, type Dispatcher, ProxyAgent, request } from "undici";
import type { WebhookAnswer } from "./webhook-answer.ts";

const mostBodyBytes = 16_384;
/** Once the status has decided, what else is said is not waited for longer. */
const bodyWaitMs = 2_000;

/** Connections to a receiver, kept a little while for the next event. Its certificate is always checked. */
export function webhookConnections(options: {
  url: string;
  authorities: string | undefined;
  proxy: string | undefined;
}): Dispatcher {
  const { url, proxy } = options;
  const overTls = [url, proxy].some((one) => one?.startsWith("https:"));
  // Made once: reading hundreds of certificates for each connection would hold up everything else.
  const tls = overTls ? { secureContext: trusted(options.authorities) } : {};
  if (proxy === undefined) return new Agent({ connect: tls });
  return new ProxyAgent({ uri: proxy, requestTls: tls, proxyTls: tls });
}

/** Those given, or whoever Node and this machine trust, as with curl. */
function trusted(authorities: string | undefined): SecureContext {
  const ca =
    authorities === undefined ? [...getCACertificates("default"), ...getCACertificates("system")] : authorities;
  return createSecureContext({ ca, minVersion: "TLSv1.2" });
}

/** Rejects where no answer came; that includes the signal. */
export async function post(options: {
  connections: Dispatcher;
  url: string;
  headers: Record<string, string>;
  body: string;
  signal: AbortSignal;
}): Promise<WebhookAnswer> {
  const { connections: dispatcher, url, headers, body, signal } = options;
  const response = await request(url, { dispatcher, method: "POST", headers, body, signal });
  const { statusCode: status, headers: given } = response;
  const [retryAfter, location] = [given["retry-after"], given.location].map((value) => [value].flat()[0]);
  return { status, retryAfter, location, body: await beginning(response.body) };
}

/** As much of it as is kept, whatever more there is; a body that breaks off or never ends is cut. */
async function beginning(body: Dispatcher.ResponseData["body"]): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const timer = setTimeout(() => body.destroy(), bodyWaitMs);
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > mostBodyBytes) break;
    }
  } catch {
    // The status has come: it is the answer.
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks).subarray(0, mostBodyBytes).toString("utf8").replaceAll("\0", "\ufffd");
}
