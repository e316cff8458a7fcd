import type { Telling } from "../../core/hook.ts";

/** What came back: the body's beginning, as text. */
export type WebhookAnswer = {
  status: number;
  retryAfter: string | undefined;
  location: string | undefined;
  body: string;
};

type Meaning = {
  answer: Telling["answer"];
  again: NonNullable<Telling["again"]> | null;
  /** Whether the receiver is at work, whatever it thinks of this event. */
  serves: boolean;
  /** What an administrator should know of it. */
  note: string | null;
};

/** It has read this event and says that it is wrong; a few more attempts are for a receiver that is being replaced. */
const refusedForGood = [400, 405, 406, 411, 413, 414, 415, 422, 431];

export function meaningOf({ status, retryAfter, location }: WebhookAnswer): Meaning {
  const failed = { answer: "failed", again: null, serves: true, note: null } as const;
  if (status >= 200 && status < 300) return { ...failed, answer: "yes" };
  if (status >= 300 && status < 400) {
    const elsewhere = location === undefined ? "" : ` (${originOf(location)})`;
    return {
      ...failed,
      note: `it sends events elsewhere${elsewhere}; redirects are not followed, name the address itself`,
    };
  }
  if (status === 403) return { ...failed, answer: "no" };
  if (status === 410) return { ...failed, again: "never", note: "it wants no more events" };
  if (refusedForGood.includes(status)) return { ...failed, again: "few" };
  const afterMs = status === 429 || status === 503 ? milliseconds(retryAfter) : undefined;
  const again = afterMs === undefined ? null : { afterMs };
  return { ...failed, again, serves: status < 500 && status !== 408 && status !== 429 };
}

/** `Retry-After` is seconds or a date (RFC 9110, 10.2.3). */
function milliseconds(retryAfter: string | undefined): number | undefined {
  if (retryAfter === undefined) return undefined;
  const text = retryAfter.trim();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function originOf(location: string): string {
  return URL.canParse(location) ? new URL(location).origin : "another path";
}

/** What the person is to read: `{"clientReason": "…"}`; null where it says nothing to them. */
export function clientReasonIn({ body }: WebhookAnswer): string | null {
  try {
    const read: unknown = JSON.parse(body);
    if (typeof read !== "object" || read === null || !("clientReason" in read)) return null;
    return typeof read.clientReason === "string" ? read.clientReason : null;
  } catch {
    return null;
  }
}
