import type { DirectorySearch } from "../core/directory-search.ts";

/**
 * Runs an administrator's programs. A `ProgramRunner` starts one process for one call (script hooks); a `ScriptHost`
 * keeps warm workers for one version of a script and is called for each attempt (post-auth). Both build the
 * environment from nothing, use no shell, give the process a group of its own and kill that group at the deadline.
 */
export interface ProgramRunner {
  /** Never rejects. Whatever the program did or failed to do is the result. */
  run(program: Program): Promise<ProgramResult>;
  /** Looks at a file without running it: what would start it, and what is in the way. */
  inspect(path: string): Promise<ProgramFacts>;
}

export type ProgramFacts = {
  /** The program its first line names (`/bin/sh`), or null for a binary and for what cannot be read. */
  interpreter: string | null;
  /** It is a text that names no interpreter: only `/bin/sh FILE` runs it, as shells do with such a file. */
  throughShell?: true;
  /** Why it cannot be started, in words with the path and what to do; null where nothing is known to be wrong. */
  fault: string | null;
};

export type Program = {
  path: string;
  args: readonly string[];
  /**
   * The whole environment; nothing of the daemon's is added, and only HOME is replaced where `account` is given.
   * Values are passed as UTF-8 bytes, unchanged.
   */
  environment: Readonly<Record<string, string>>;
  /** Account name to run as, or undefined for the daemon's own. */
  account: string | undefined;
  workingDirectory: string;
  stdin: string;
  deadlineMs: number;
  /** Standard output and error together, in the order written; beyond this the middle is dropped, the end is kept. */
  maxOutputBytes: number;
  /** Aborting ends the program's whole process group at once, as its deadline does; the outcome is `signalled`. */
  abort?: AbortSignal;
};

export type ProgramResult = {
  outcome: "exited" | "signalled" | "timed-out" | "not-started";
  exitStatus: number | null;
  signal: string | null;
  /** Why it could not be started or was ended, in words with the path; null where the program decided itself. */
  error: string | null;
  /** Valid text without NULs, whatever bytes were printed. */
  output: string;
  durationMs: number;
};

/** What loading a script tells about it, without calling it. */
export type ScriptFacts = {
  entry: "post_auth" | "post_auth_cr" | "definePostAuth" | "defineHook";
  synchronous: boolean;
  authNull: boolean;
  retainPassword: boolean;
  groupSelect: boolean;
  staticChallenge: string | null;
  staticChallengeEcho: boolean;
  x509Track: readonly string[];
  /** The script's settings with their defaults; undefined where its language has none. */
  settings?: Readonly<Record<string, unknown>>;
};

/** Where a script cannot be loaded: line (from 1) and column where known. */
export type ScriptFault = { message: string; line: number | null; column: number | null };

export type ScriptCall = {
  /**
   * JSON-ready arguments: `authcred`, `attributes`, `authret`, `info`, or a hook's `event`. Secrets are already revealed
   * or left out.
   */
  arguments: Record<string, unknown>;
  /** From the moment of the call; waiting for a worker counts. */
  deadlineMs: number;
  /** The server's directory, for `ldap_context`; `uname_attr` is the attribute that names users in it. */
  directory?: { search: DirectorySearch; uname_attr: string };
  /** `authret.state` of an earlier return, handed back as it came. */
  state?: string;
  /** The challenge state of an earlier return, and the user's answer to that challenge. */
  crstate?: string;
  response?: string;
};

/**
 * The raw outcome of one call: what came back is not judged here. Texts are well-formed and bounded.
 * `unsendable`: the script returned something that no decision can be read from, and the message says what.
 * `died`: its process ended before it answered. `too-busy`: it was never begun.
 */
export type ScriptReturn =
  | {
      outcome: "returned";
      /** A float without a fraction is `{ $float: "0.0" }`: JSON would make 0 of it. */
      value: unknown;
      /** Opaque; to be handed back with a later call. */
      state: string | null;
      /** A question to be put to the user, and what to hand back with the answer. */
      challenge: { text: string; echo: boolean } | null;
      crstate: string | null;
      printed: string;
      durationMs: number;
    }
  | { outcome: "raised"; message: string; traceback: string; printed: string; durationMs: number }
  | { outcome: "unsendable"; message: string; printed: string; durationMs: number }
  | { outcome: "timed-out"; printed: string; durationMs: number }
  | { outcome: "died"; message: string; printed: string; durationMs: number }
  | { outcome: "too-busy"; printed: string; durationMs: number };

/** Warm workers for one version of one script. */
export interface ScriptHost {
  readonly facts: ScriptFacts;
  call(call: ScriptCall): Promise<ScriptReturn>;
  /** What it has and does at this moment. */
  load?(): HostLoad;
  /** Takes no new calls, waits for those under way up to their deadlines, then ends the workers. */
  close(): Promise<void>;
}

/**
 * `busy`: workers with a call. `waiting`: calls that no worker has taken yet. `deaths`: workers that ended without being
 * told to, since the host was loaded.
 */
export type HostLoad = { workers: number; busy: number; waiting: number; deaths: number };

export type ScriptToLoad = {
  name: string;
  text: string;
  /** What it is to be; a post-auth script unless told. */
  entry?: "defineHook";
  /** What an administrator set, over the script's defaults; undefined: nobody has looked yet, and the defaults do. */
  settings?: Readonly<Record<string, unknown>>;
  /** Also look for what running it would only show sooner or later: wrong types. Takes longer. */
  thorough?: boolean;
};

export type LoadOutcome =
  /** `notes`: what an administrator who looks at the script should know. */
  | { host: ScriptHost; notes?: readonly string[] }
  /** The first fault, and those after it as far as they are known. */
  | { fault: ScriptFault; more?: readonly ScriptFault[] };

/** Loads a script into a new host, or says why it cannot be. */
export type LoadScript = (script: ScriptToLoad) => Promise<LoadOutcome>;
