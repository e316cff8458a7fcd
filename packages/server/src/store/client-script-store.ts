import type { ScriptEvent, ScriptPlatform, ScriptPrivilege, ScriptReport } from "@sallyport/protocol";

/** Whose members get it: a group's, or everybody who is in no group or in one without its own. */
export type ScriptOwner = { kind: "group"; name: string } | { kind: "default" };

/** Where a script for users' machines is defined. One is live in each. */
export type ScriptScope = {
  owner: ScriptOwner;
  platform: ScriptPlatform;
  privilege: ScriptPrivilege;
  event: ScriptEvent;
};

/** One text that was, or is, live in its scope. */
export type ScopedScript = {
  scope: ScriptScope;
  /** From 1 in each scope, counting up; never used again. */
  version: number;
  name: string;
  text: string;
  sha256: string;
  createdAt: string;
  createdBy: string;
};

export type ListedScopedScript = Omit<ScopedScript, "text"> & { bytes: number; live: boolean };

/** A variable for the scripts of a scope. */
export type ScopedVariable = { scope: ScriptScope; name: string; value: string };

/** What is handed to a client so that it can get its scripts, once. Only its digest is kept. */
export type ScriptTicket = {
  /** SHA-256 of the ticket, hex. */
  digest: string;
  /** The row of the ledger (`Connection.id`). */
  connectionId: string;
  /** What the VPN client said it runs on (`IV_PLAT`); null where it did not. */
  platform: string | null;
  createdAt: string;
  expiresAt: string;
  usedAt: string | null;
};

/** What an agent told of a script, as it is kept: cleaned and cut. */
export type KeptReport = ScriptReport & { id: string; connectionId: string; receivedAt: string };

/** `succeeded`: exit status 0. `refused`: by the user's or the owner's decision. `failed`: everything else. */
export type ReportCounts = { succeeded: number; failed: number; refused: number };

/** Part of the port to the database: scripts for users' machines, tickets for them, and what became of them. */
export interface ClientScriptStore {
  /** The next version of its scope, live at once. */
  add(script: Omit<ScopedScript, "version">): Promise<ScopedScript>;
  /** The live one unless a version is named. */
  get(scope: ScriptScope, version?: number): Promise<ScopedScript | undefined>;
  versions(scope: ScriptScope): Promise<ListedScopedScript[]>;
  /** Nothing is live in the scope any more; its versions stay. False where nothing was. */
  remove(scope: ScriptScope): Promise<boolean>;
  /** The live ones of an owner, or of all. */
  list(owner?: ScriptOwner): Promise<ListedScopedScript[]>;
  /** The live ones that a member of this group, or somebody in none, might get: the group's and the default's. */
  liveFor(group: string | null): Promise<ScopedScript[]>;
  /** An empty value is one too. */
  setVariable(variable: ScopedVariable): Promise<void>;
  deleteVariable(scope: ScriptScope, name: string): Promise<boolean>;
  variables(owner?: ScriptOwner): Promise<ScopedVariable[]>;

  /** Earlier tickets of the connection that nobody used are void. */
  putTicket(ticket: Omit<ScriptTicket, "usedAt">): Promise<void>;
  ticket(digest: string): Promise<ScriptTicket | undefined>;
  /** True once: for the first who asks. `reportDigest` is what its bundle's outcomes are reported with; null: not at all. */
  takeTicket(digest: string, taking: { at: string; reportDigest: string | null }): Promise<boolean>;
  /** The connection whose bundle came with this report token. */
  reporter(reportDigest: string): Promise<string | undefined>;
  /** Up to so many for one connection; gives how many were kept. */
  addReports(connectionId: string, reports: readonly KeptReport[], most: number): Promise<number>;
  /** How many of each connection's scripts came out how; connections without reports are left out. */
  reportCounts(connectionIds: readonly string[]): Promise<(ReportCounts & { connectionId: string })[]>;
  /** In the order they came. */
  reports(connectionId: string): Promise<KeptReport[]>;
  /** The connection, not ended, that has an address (canonical). */
  connectionAt(address: string): Promise<string | undefined>;
  /** Tickets that nothing can be reported with any more since before `tickets`, and reports received before `reports`. */
  prune(before: { tickets: string; reports: string }): Promise<void>;
}
