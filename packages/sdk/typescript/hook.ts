import type { Allow, Deny } from "./answers.ts";

/** What every event says of a connection. A field that has no value is not there. */
export type ConnectionFacts = {
  /** The same on every attempt to tell of this event: who has seen it can ignore the repeat. */
  readonly eventId: string;
  /** The connection; its connect and its disconnect have it in common. */
  readonly sessionId: string;
  /** Attempts begun to tell of this event, from 1. */
  readonly attempt: number;
  readonly userId: string;
  readonly profileId: string;
  /** The device. OpenVPN: the certificate's common name. WireGuard: the public key. */
  readonly connectionId: string;
  /** The addresses inside the VPN. */
  readonly ipFour?: string;
  readonly ipSix?: string;
  readonly proto: "openvpn" | "wireguard";
  /** WireGuard: what connects and disconnects the device, its client config or its handshakes. */
  readonly trigger?: "config" | "handshake";
  readonly nodeNumber: number;
  readonly nodeUrl: string;
  readonly nodeHostName: string;
};

/** Somebody has connected, or, for a veto hook, is about to. */
export type ConnectEvent = ConnectionFacts & {
  readonly event: "C";
  /** Where the client comes from (OpenVPN). */
  readonly originatingIp?: string;
  /** The country the client comes from, two letters. */
  readonly geoIpCc?: string;
  /** The place the client comes from, as a `geo:` URI. */
  readonly geoIpUri?: string;
};

/** A connection is over. */
export type DisconnectEvent = ConnectionFacts & {
  readonly event: "D";
  /** From the client. */
  readonly bytesIn: number;
  /** To the client. */
  readonly bytesOut: number;
  /** How long traffic could flow; 0 for a connection that was refused. */
  readonly durationSeconds: number;
  readonly disconnectReason:
    | "client"
    | "admin"
    | "expired"
    | "replaced"
    | "disabled"
    | "rejected"
    | "node-lost"
    | "shutdown";
};

export type HookEvent = ConnectEvent | DisconnectEvent;

/** What a hook works with. */
export type HookContext = {
  /** Kept with the delivery, as what `console.log` prints is. */
  log(...values: unknown[]): void;
  /** Aborts shortly before the deadline: hand it to `fetch` and whatever else may wait. */
  readonly signal: AbortSignal;
};

/** Nothing, or `allow()`: yes. `deny(…)`: no, which refuses the connection where the hook is a veto. */
// biome-ignore lint/suspicious/noConfusingVoidType: a function that returns nothing is one whose answer is yes
export type HookAnswer = Allow | Deny | undefined | void;

export type Tell = (event: HookEvent, ctx: HookContext) => HookAnswer | Promise<HookAnswer>;

/** What a hook module exports by default. Made by `defineHook`; nothing in it is for anybody but the server. */
export type HookModule = { readonly kind: "sallyport-hook"; readonly tell: Tell };

/**
 * Declares a connection hook: `export default defineHook((event, ctx) => …)`. It is called for each event that the
 * hook's configuration names. An exception, a wrong answer and none within the deadline are failures: a veto denies, and
 * what has happened is told again later.
 */
export function defineHook(tell: Tell): HookModule {
  if (typeof tell !== "function") throw new TypeError("defineHook takes a function");
  return { kind: "sallyport-hook", tell };
}
