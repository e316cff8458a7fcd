import type { JsonObject } from "./json.ts";

/** The user may come in. */
export type Allow = {
  decision: "allow";
  /** For the log; the auth method's own reason unless given. */
  reason?: string | undefined;
  /** Another name for the account. */
  user?: string;
  /** The property `conn_group`: the group for this session. */
  group?: string;
  /** The property `conn_ip`: the address for this session. */
  address?: string;
  /** In force for this session, over those of the database. */
  properties?: Record<string, string>;
  /** Written to the user's record when the connection is admitted; in force from the next authentication on. */
  save?: Record<string, string>;
  /** For the scripts that follow (`request.data`; in Python, keys on `authret`). */
  data?: JsonObject;
};

/** The user may not come in. */
export type Deny = {
  decision: "deny";
  /** For the log. */
  reason: string;
  /** What the refused person reads. */
  clientReason?: string | undefined;
};

/** The user is asked first; `ctx.challenge` makes one. */
export type Challenge = { decision: "challenge"; text: string; echo: boolean };

export type Answer = Allow | Deny | Challenge;

export function allow(options: Omit<Allow, "decision"> = {}): Allow {
  return { ...options, decision: "allow" };
}

/** A text alone is the reason for the log. */
export function deny(options: string | Omit<Deny, "decision">): Deny {
  return typeof options === "string" ? { reason: options, decision: "deny" } : { ...options, decision: "deny" };
}
