import type { ScriptEvent, ScriptPlatform, ScriptPrivilege } from "./client-scripts.ts";

/*
 * What an agent says to its server: JSON over HTTPS, POST, at the URL of the client config. The server's certificate is
 * that of the host in the URL, from the client config's CA or a public one. An answer that is not 200 is an AgentRefusal.
 *
 *   OpenVPN     the ticket is pushed: the management interface says `>ECHO:<time>,sallyport-ticket <ticket>`
 *   WireGuard   /agent/v1/ticket, asked from inside the tunnel, at SALLYPORT_AGENT_ADDRESS
 *   then        /agent/v1/bundle, once; /agent/v1/output as scripts end, where the bundle has `report`
 *
 * too-busy (503) and too-many-requests (429) are worth another try some seconds later: the ticket is still good.
 */
export const agentPaths = {
  ticket: "/agent/v1/ticket",
  bundle: "/agent/v1/bundle",
  output: "/agent/v1/output",
} as const;

/** WireGuard: whose tunnel it is, the server knows by the address that the request comes from. */
export type TicketRequest = Readonly<Record<string, never>>;
/** `ticket` null: there are no scripts for this connection. */
export type TicketAnswer = { ticket: string | null; expiresAt: string };

/** Answered with the JSON of a SignedBundle. A ticket is taken once: whoever asks again needs a new connection. */
export type BundleRequest = {
  ticket: string;
  /** Unguessable, 16 to 64 letters, digits, `-` and `_`; made for this request. */
  nonce: string;
  /** Counts where the VPN client did not tell its own (WireGuard); `IV_PLAT` otherwise. */
  platform: Exclude<ScriptPlatform, "all">;
  agentVersion: string;
};

/** How a script came out. `refused`: by the user's or the owner's decision; `failed`: it could not be started. */
export type ScriptReport = {
  name: string;
  event: ScriptEvent;
  privilege: ScriptPrivilege;
  sha256: string;
  outcome: "ran" | "failed" | "timed-out" | "refused";
  startedAt: string;
  durationMs: number;
  /** Null: it has none, because it did not run or a signal ended it. */
  exitCode: number | null;
  signal: string | null;
  /** One line: why it did not run. */
  detail: string | null;
  /** Standard output and error as they came, at most `mostOutputBytes`. */
  output: string;
};

/** `token`: the bundle's `report.token`, good for some minutes beyond the end of the connection. */
export type OutputRequest = { token: string; reports: readonly ScriptReport[] };
/** What was kept; fewer than were sent where the connection has as many already. */
export type OutputAnswer = { kept: number };

/** `code` is of the server's table (docs/errors.md): ticket-unknown, ticket-used, ticket-expired, connection-ended, … */
export type AgentRefusal = { error: { code: string; message: string } };

const ticketWord = "sallyport-ticket";
const ticketForm = /^[A-Za-z0-9_-]{20,100}$/;

export function isTicket(text: string): boolean {
  return ticketForm.test(text);
}

/** What the server pushes, as one option of OpenVPN: `echo sallyport-ticket <ticket>`. */
export function ticketEcho(ticket: string): string {
  if (!isTicket(ticket)) throw new RangeError("a ticket is 20 to 100 letters, digits, hyphens and underscores");
  return `echo ${ticketWord} ${ticket}`;
}

/** The ticket in the text of `>ECHO:` (with or without its time in front), undefined where it is another echo. */
export function readTicketEcho(text: string): string | undefined {
  const [, ticket] = /^(?:>ECHO:)?(?:\d+,)?sallyport-ticket ([^\s]+)\s*$/.exec(text) ?? [];
  return ticket !== undefined && isTicket(ticket) ? ticket : undefined;
}
