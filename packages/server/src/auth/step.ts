import type { TraceEntry } from "../core/attempt.ts";
import type { AuthMethod, Credentials } from "../core/credentials.ts";
import type { ErrorCode } from "../core/errors.ts";
import type { PostAuthInput, PostAuthTerms } from "../core/post-auth.ts";
import type { GroupSnapshot, Properties } from "../core/properties.ts";
import type { Secret } from "../core/secret.ts";
import type { VpnSession } from "../core/session.ts";
import type { AccessRequest } from "../core/vpn-event.ts";
import type { ClientConfigKind } from "../store/store.ts";

/** Who asks, and for what: a VPN daemon's request, or an administrator's try on the command line. */
export type AuthRequest = Omit<AccessRequest, "kind" | "tunnel" | "protocol"> & {
  kind: "connect" | "reauth" | "authcli";
  profileId: string | null;
  protocol: AccessRequest["protocol"] | null;
};

/** What is known so far about one attempt; each step reads it and adds what it found. */
export type Findings = {
  request: AuthRequest;
  at: Date;
  credentials: Credentials;
  /** From the certificate or the method; the canonical name once a method accepted it. */
  userId: string | null;
  /** A client config that belongs to one user makes it work for that user alone. */
  configOwner: string | null;
  configKind: ClientConfigKind | null;
  /** When the client config runs out; null where there is none of ours. */
  configExpiresAt: string | null;
  terms: PostAuthTerms;
  method: AuthMethod | null;
  methodReason: string;
  info: Omit<PostAuthInput["info"], "auth_method">;
  properties: Properties;
  group: GroupSnapshot | null;
  save: Properties;
  /** The answer to a question of an earlier round: whose question, and what that step needs to go on. */
  answered: { step: string; resume: unknown; response: Secret } | null;
  /** How many were put in earlier rounds of this login, whoever asked. */
  questions: number;
  /** In this round or an earlier one. */
  totpAccepted: boolean;
  /** `authret.state` by script. */
  states: Readonly<Record<string, string>>;
  resumedSession: VpnSession | null;
  directory: PostAuthInput["directory"] | null;
  scriptInput: Record<string, unknown> | null;
};

type Told = Partial<Pick<TraceEntry, "by" | "warnings" | "printed" | "traceback" | "changes">>;

/** A step lets the attempt pass with what it found, has nothing to say, puts a question, or denies. */
export type StepOutcome =
  | ({ outcome: "passed"; detail: string; found?: Partial<Findings> } & Told)
  | { outcome: "skipped"; detail: string }
  | ({
      outcome: "challenged";
      text: string;
      echo: boolean;
      resume: unknown;
      /** Answered in a browser: the state's name, and where the browser goes. */
      web?: { id: string; url: string };
      found?: Partial<Findings>;
    } & Told)
  | ({
      outcome: "denied";
      code: ErrorCode;
      reason: string;
      clientReason?: string | null;
      found?: Partial<Findings>;
    } & Told);

/** One check. It guarantees what the sentence at the top of its file says for every later step. */
export type Step = { name: string; run(findings: Findings): Promise<StepOutcome> };

export const passed = (detail: string, found: Partial<Findings> = {}): StepOutcome => ({
  outcome: "passed",
  detail,
  found,
});

export const denied = (code: ErrorCode, reason: string, found: Partial<Findings> = {}): StepOutcome => ({
  outcome: "denied",
  code,
  reason,
  found,
});
