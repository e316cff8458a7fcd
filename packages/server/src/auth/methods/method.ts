import type { AuthMethod } from "../../core/credentials.ts";
import type { DirectorySearch } from "../../core/directory-search.ts";
import type { Secret } from "../../core/secret.ts";

/** What a backend found out besides yes; scripts read it as `info` (COMPATIBILITY section 1). */
export type MethodInfo = {
  user_dn?: string;
  search_base?: string;
  radius_reply?: Record<number, string[]>;
  saml_attr?: Record<string, string[]>;
};

/** What a method needs to go on after its challenge. JSON as it is, so that it survives a restart; holds no secret. */
export type ChallengeState = Readonly<Record<string, string | number | null>>;

/** The server's directory for scripts (`ldap_context`); `uname_attr` is the attribute that names users in it. */
export type MethodDirectory = { search: DirectorySearch; uname_attr: string };

/**
 * `wrong` is the person's fault, `unreachable` an outage: they are never told as one another. `challenged` is a
 * question of the backend's own; the answer goes to `resume` with the state.
 */
export type MethodResult =
  | { outcome: "accepted"; userId: string; reason: string; info: MethodInfo; directory?: MethodDirectory }
  | { outcome: "wrong"; reason: string }
  | { outcome: "unreachable"; reason: string }
  | { outcome: "challenged"; text: string; echo: boolean; state: ChallengeState; web?: WebQuestion };

/** A question that is answered in a browser, under a name that the method chose and nobody can guess. */
export type WebQuestion = { id: string; url: string };

/** The addresses are told to backends that record or judge them; undefined where they are not known. */
export type Login = {
  username: string;
  password: Secret;
  /** Canonical address the client comes from. */
  clientAddress?: string | undefined;
  hardwareAddress?: string | undefined;
};

/** One backend that checks a user name and a password. Never throws for an outage; has its own deadline. */
export type Method = {
  name: AuthMethod;
  /** The longest that `check` or `resume` may take; undefined where there is nothing to wait for. */
  deadlineMs?: number;
  check(login: Login): Promise<MethodResult>;
  /** Goes on with the answer to a question that this method put. A state it does not know is never accepted. */
  resume?(state: ChallengeState, response: Secret): Promise<MethodResult>;
  /** Lets go of connections and processes; checks under way end as `unreachable`. */
  close?(): Promise<void>;
};
