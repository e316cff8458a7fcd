import type { AuthMethod } from "./credentials.ts";
import type { ErrorCode } from "./errors.ts";
import type { Properties } from "./properties.ts";

/** What one step of the pipeline did; the log, the command line, the web page and replay all read this. */
export type TraceEntry = {
  step: string;
  outcome: "passed" | "skipped" | "denied" | "challenged";
  /** In words, for the administrator. */
  detail: string | null;
  durationMs: number;
  /** Scripts: which one, in which version, decided, or all that let pass. */
  by?: string;
  /** What was wrong with a script's answer without changing what was decided. */
  warnings?: string[];
  /** What a script printed, bounded. */
  printed: string | null;
  /** A script's traceback, with the script's own line numbers. */
  traceback: string | null;
  /** Properties the step changed: before and after; null where there was or is none. */
  changes: Record<string, [string | null, string | null]> | null;
};

/** One pass through the auth pipeline, as it is recorded. Holds no secret. */
export type AttemptRecord = {
  id: string;
  at: string;
  kind: "connect" | "reauth" | "authcli";
  profileId: string | null;
  protocol: "openvpn" | "wireguard" | null;
  userId: string | null;
  clientAddress: string | null;
  certificateSerial: string | null;
  commonName: string | null;
  authMethod: AuthMethod | null;
  outcome: "allow" | "deny" | "challenge";
  code: ErrorCode | null;
  reason: string;
  clientReason: string | null;
  properties: Properties;
  trace: TraceEntry[];
  durationMs: number;
  /** What the script was given, without secrets: enough to run it again (replay) or make a case of it. */
  scriptInput: Record<string, unknown> | null;
};
