import type { ErrorCode } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import type { AccessRequest, LiveTunnel, Traffic, Tunnel } from "../core/vpn-event.ts";

/**
 * The port every VPN daemon is driven through. Order of calls for one tunnel: the driver calls `asked`; later, once,
 * the lifecycle answers with `admit`, `refuse` or `challenge`; after `admit` the driver calls `established`, then
 * `traffic` now and then, and `gone` exactly once however the tunnel went. `gone` may come before the answer (the
 * client gave up): then the answer fails with `connection-ended`. After each attach to a daemon, first start or later,
 * `attached` gets the daemon's own list, before any other call for that listener, and everything waits for its promise.
 */
export interface Driver {
  /** Brings every listener up, adopting daemons that outlived us; resolves when each was attached or is being retried. */
  start(events: DriverEvents): Promise<void>;
  /** `end`: the daemons are ended too, and every `gone` was called. `leave`: they are left running as they are. */
  stop(how: "end" | "leave"): Promise<void>;
  admit(tunnel: Tunnel, admission: Admission): Promise<void>;
  refuse(tunnel: Tunnel, refusal: Refusal): Promise<void>;
  /**
   * Puts a question to a client that asked to connect. Where it can answer on this tunnel, `asked` is called again for
   * the same tunnel with the answer as its password (`CRV1::state::answer`); otherwise it is refused with the question,
   * and comes back with the answer on a new tunnel.
   */
  challenge(tunnel: Tunnel, question: Question): Promise<void>;
  /** Gives a tunnel the answer that came in a browser; false where none waits for it. `asked` is called again with it. */
  answer(stateId: string, response: Secret): boolean;
  /** Tells the client, before a long wait, how long it may take. Does nothing where the client cannot be told. */
  announceWait(tunnel: Tunnel, waitMs: number): Promise<void>;
  /** Ends a tunnel that is up; resolves once the daemon was told (`gone` follows). `mayReturn`: the client may reconnect. */
  disconnect(tunnel: Tunnel, options: { mayReturn: boolean; clientReason: string | null }): Promise<void>;
}

export interface DriverEvents {
  asked(request: AccessRequest): void;
  established(tunnel: Tunnel): void;
  traffic(counts: Traffic[]): void;
  /** Counts are null where the daemon did not say: then the last `traffic` holds. */
  gone(tunnel: Tunnel, counts: { bytesIn: number; bytesOut: number } | null): void;
  /**
   * The list of tunnels that are up in a daemon just attached to, with fresh keys; whoever was still being asked has
   * been told to come back. `sameDaemon`: it is known to be the process that was attached before.
   */
  attached(
    listener: { profileId: string; listener: string; sameDaemon: boolean },
    tunnels: LiveTunnel[],
  ): Promise<void>;
}

/** What an admitted client gets. Addresses are canonical, prefix lengths those of its pool. */
export type Admission = {
  kind: "connect" | "reauth";
  ipv4: { address: string; prefixLength: number; gateway: string } | null;
  ipv6: { address: string; prefixLength: number; gateway: string } | null;
  /** CIDRs of either family to be sent through the tunnel. */
  routes: readonly string[];
  dns: readonly string[];
  /** What the client's agent gets its scripts with, told inside the tunnel; null or left out: there are none for it. */
  ticket?: string | null;
};

/** `userName` is whom the answer must come from; `waitMs` how long the answer may take. */
export type Question = {
  stateId: string;
  userName: string;
  text: string;
  echo: boolean;
  responseRequired: boolean;
  /** Where a browser gives the answer (`WEB_AUTH`): `answer` tells it to the driver. */
  url?: string;
  waitMs: number;
};

/** A refusal: `reason` for the daemon's log, `clientReason` for the person, and when to try again where that helps. */
export type Refusal = {
  kind: "connect" | "reauth";
  reason: string;
  clientReason: string;
  retryAfterSeconds?: number;
  /** For whoever asked from our side (WireGuard). */
  code?: ErrorCode;
  attemptId?: string;
};
