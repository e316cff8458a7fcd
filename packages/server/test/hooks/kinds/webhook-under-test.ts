import type { ConnectionEvent } from "@sallyport/protocol";
import { Secret } from "../../../src/core/secret.ts";
import { type Webhook, webhook } from "../../../src/hooks/kinds/webhook.ts";

export const event: ConnectionEvent = {
  event: "C",
  eventId: "0197-event",
  sessionId: "session-1",
  attempt: 2,
  userId: `Zoë "O'Brien"`,
  profileId: "office",
  connectionId: "laptop",
  ipFour: "10.42.0.2",
  proto: "openvpn",
  nodeNumber: 0,
  nodeUrl: "https://vpn.example.org",
  nodeHostName: "vpn.example.org",
};
export const options = { deadlineMs: 20_000, abort: new AbortController().signal };

export function hookTo(url: string, changes: Partial<Webhook> = {}) {
  return webhook({
    url,
    secret: new Secret("correct horse"),
    authorities: undefined,
    proxy: undefined,
    circuitBreaker: { failures: 100, pauseMs: 60_000 },
    retry: { attempts: 30, firstWaitMs: 1_000, longestWaitMs: 3_600_000 },
    ...changes,
  });
}
