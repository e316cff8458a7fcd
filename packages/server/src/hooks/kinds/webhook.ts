import { createHmac } from "node:crypto";
import type { ConnectionEvent } from "@sallyport/protocol";
import type { Dispatcher } from "undici";
import type { RetryPolicy, Telling } from "../../core/hook.ts";
import type { Secret } from "../../core/secret.ts";
import { version } from "../../core/version.ts";
import { CircuitBreaker } from "../circuit-breaker.ts";
import type { BoundHook, TellOptions } from "../tell.ts";
import { clientReasonIn, meaningOf, type WebhookAnswer } from "./webhook-answer.ts";
import { post, webhookConnections } from "./webhook-connection.ts";

export type Webhook = {
  url: string;
  /** Undefined: what is sent is not signed. */
  secret: Secret | undefined;
  /** PEM of the authorities that vouch for the server; undefined: those this machine trusts. */
  authorities: string | undefined;
  /** URL of an HTTP proxy that the connection is made through (CONNECT). */
  proxy: string | undefined;
  circuitBreaker: { failures: number; pauseMs: number };
  retry: RetryPolicy;
};

/**
 * Told by an HTTP POST of the event as JSON. 2xx is yes; a veto's no is 403, which may carry `{"clientReason": "…"}` for
 * the person; everything else is the lack of an answer. Redirects are not followed: an event goes nowhere else.
 */
export function webhook(hook: Webhook): Pick<BoundHook, "tell" | "room" | "target"> {
  const name = publicName(hook.url);
  const connections = webhookConnections(hook);
  const breaker = new CircuitBreaker(hook.circuitBreaker);

  const tell: BoundHook["tell"] = async (event, options) => {
    const begun = performance.now();
    if (!breaker.enter() && !options.force) {
      const again = Math.ceil(breaker.remainingMs() / 1_000);
      const error = `${name} was not asked: it failed ${breaker.failuresInARow} times in a row and is left alone for ${again} s more`;
      return { answer: "failed", failure: "unreachable", error, output: "", durationMs: 0 };
    }
    const answer = await send(hook, connections, event, options);
    if ("status" in answer ? meaningOf(answer).serves : answer.byUs) {
      if ("status" in answer) breaker.succeeded();
      else breaker.unknown();
    } else breaker.failed();
    const telling = tellingOf(answer, { name, longestWaitMs: hook.retry.longestWaitMs });
    if (typeof telling.again === "object") breaker.rest(telling.again.afterMs);
    return { ...telling, durationMs: Math.round(performance.now() - begun) };
  };
  return { tell, room: () => breaker.room(), target: `webhook ${name}` };
}

/** Paths and queries of webhooks are often what keeps strangers out: they are no secrets to be shown. */
function publicName(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return pathname === "/" && search === "" ? origin : `${origin}/…`;
}

/**
 * What a receiver can hold against its own copy of the secret: HMAC-SHA256 over the timestamp, a dot and the body, in
 * hexadecimal. The timestamp (seconds since 1970) is part of it, so that what was recorded cannot be sent again later.
 */
export function signature(secret: Secret, timestamp: string, body: string): string {
  return `sha256=${createHmac("sha256", secret.reveal()).update(`${timestamp}.${body}`, "utf8").digest("hex")}`;
}

function headersOf(hook: Webhook, event: ConnectionEvent, body: string): Record<string, string> {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  return {
    "content-type": "application/json",
    "user-agent": `Sallyport/${version}`,
    "idempotency-key": event.eventId,
    "sallyport-timestamp": timestamp,
    ...(hook.secret && { "sallyport-signature": signature(hook.secret, timestamp, body) }),
  };
}

type Sent = WebhookAnswer | { byUs: boolean; timedOut: boolean; error: string };

async function send(
  hook: Webhook,
  connections: Dispatcher,
  event: ConnectionEvent,
  { deadlineMs, abort }: TellOptions,
): Promise<Sent> {
  const body = JSON.stringify(event);
  const late = AbortSignal.timeout(deadlineMs);
  const signal = AbortSignal.any([abort, late]);
  for (let first = true; ; first = false) {
    try {
      return await post({ connections, url: hook.url, headers: headersOf(hook, event, body), body, signal });
    } catch (error) {
      if (late.aborted) return { byUs: false, timedOut: true, error: `did not answer within ${deadlineMs} ms` };
      if (abort.aborted) return { byUs: true, timedOut: false, error: "was not waited for" };
      // A connection kept from the last event may just have been closed; the idempotency key makes a repeat harmless.
      if (!first || !closedConnection.includes(codeOf(error))) {
        return { byUs: false, timedOut: false, error: `could not be reached: ${troubleOf(error)}` };
      }
    }
  }
}

const closedConnection = ["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"];

function tellingOf(sent: Sent, { name, longestWaitMs }: { name: string; longestWaitMs: number }): Telling {
  if (!("status" in sent)) {
    const failure = sent.timedOut ? "timed-out" : "unreachable";
    return { answer: "failed", failure, error: `${name} ${sent.error}`, output: "", durationMs: 0 };
  }
  const { answer, again, note } = meaningOf(sent);
  const output = `HTTP ${sent.status}\n${sent.body}`;
  if (answer === "yes") return { answer, failure: null, error: null, output, durationMs: 0 };
  return {
    answer,
    failure: answer === "no" ? null : "unreachable",
    error: `${name} answered with HTTP status ${sent.status}${note === null ? "" : `: ${note}`}`,
    output,
    durationMs: 0,
    clientReason: clientReasonIn(sent),
    ...(again !== null && {
      again: typeof again === "object" ? { afterMs: Math.min(again.afterMs, longestWaitMs) } : again,
    }),
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** In words; where both families of addresses were tried, the first one's. */
function troubleOf(error: unknown): string {
  const [first] = error instanceof AggregateError ? error.errors : [error];
  const text = first instanceof Error ? first.message || codeOf(first) : String(first);
  const isTls = /CERT|ALTNAME|SELF_SIGNED|LEAF_SIGNATURE|ISSUER/.test(codeOf(first));
  return isTls ? `its certificate is not trusted (${text}); caFile names the authority that vouches for it` : text;
}
