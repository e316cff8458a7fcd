import type { AuthMethod } from "./credentials.ts";
import type { ErrorCode } from "./errors.ts";
import type { GroupSnapshot, Properties } from "./properties.ts";
import type { VpnSession } from "./session.ts";

/** Who may come in, with what. */
export type Allow = {
  outcome: "allow";
  attemptId: string;
  userId: string;
  authMethod: AuthMethod;
  reason: string;
  /** The user's properties with what the scripts changed for this session. */
  properties: Properties;
  group: GroupSnapshot | null;
  /** The Class attributes of the RADIUS server that accepted the credentials, for accounting. */
  radiusClasses?: readonly string[];
  /** What a script asked to save on the user's record; written when the connection is admitted. */
  save: Properties;
  /** To be kept when the connection is admitted: what a session token stands for from now on. */
  session: VpnSession | null;
  /** When the device's client config runs out. */
  deviceExpiresAt?: string;
  /** The session that stood for the credentials: whoever ended it meanwhile ended this too. */
  resumes?: string;
};

export type Deny = {
  outcome: "deny";
  attemptId: string;
  userId: string | null;
  code: ErrorCode;
  /** For the log: names things, holds no secret. */
  reason: string;
  /** For the person; never tells more than they may know. */
  clientReason: string;
};

/** A question put to the user during authentication. */
export type Challenge = {
  outcome: "challenge";
  attemptId: string;
  userId: string;
  /** Given back with the answer. */
  stateId: string;
  text: string;
  /** Whether the answer may be shown while it is typed. */
  echo: boolean;
  responseRequired: boolean;
  /** Where a browser gives the answer. */
  url?: string;
};

export type Decision = Allow | Deny | Challenge;
