import type { DirectorySearch } from "./directory-search.ts";
import type { ErrorCode } from "./errors.ts";
import type { Properties } from "./properties.ts";
import type { Secret } from "./secret.ts";

/** What the active scripts ask of the pipeline, read from their globals (COMPATIBILITY: `AUTH_NULL`, `GROUP_SELECT`). */
export type PostAuthTerms = {
  loaded: boolean;
  authNull: boolean;
  groupSelect: boolean;
};

/** The arguments of `post_auth`, in Access Server's shapes and spelling; see COMPATIBILITY section 1. */
export type PostAuthInput = {
  authcred: {
    username: string;
    client_ip_addr: string;
    client_hw_addr?: string;
    static_response?: Secret;
    /** Handed to a script only where it sets `RETAIN_PASSWORD`. */
    password?: Secret;
  };
  attributes: {
    vpn_auth: boolean;
    reauth?: boolean;
    client_info?: Record<string, string>;
    auth_parms?: Record<string, string>;
    log_service_name?: string;
  };
  authret: { status: 0; user: string; reason: string; proplist: Properties };
  info: {
    auth_method: string;
    user_dn?: string;
    search_base?: string;
    radius_reply?: Record<number, string[]>;
    saml_attr?: Record<string, string[]>;
  };
  directory?: { search: DirectorySearch; uname_attr: string };
};

/** What the pipeline knows beside the arguments. */
export type PostAuthContext = {
  /** Those the attempt went by so far. */
  terms?: PostAuthTerms;
  /** Kept from earlier calls in the same VPN session. */
  states?: Readonly<Record<string, string>>;
  /** Where a question of the scripts was answered: they go on at the one that asked. */
  answer?: { resume: unknown; response: Secret };
};

/** What the scripts decided together. Anything unexpected has already become a denial with its own code. */
export type PostAuthVerdict = {
  outcome: "allow" | "deny" | "challenge";
  user: string;
  code: ErrorCode | null;
  reason: string;
  clientReason: string | null;
  properties: Properties;
  save: Properties;
  /** Where the outcome is a challenge; `resume` is plain JSON, to be handed back with the answer as it is. */
  question: { text: string; echo: boolean; resume: unknown } | null;
  /** `authret.state` by script, to be kept for the VPN session. */
  states: Record<string, string>;
  /** In words, the script and version that denied or asked, or all that allowed; null where none was called. */
  by: string | null;
  printed: string;
  traceback: string | null;
  /** What the script should hear of but not fail for: an ignored key, a deprecated form. */
  warnings: string[];
  durationMs: number;
};

/** The active post-auth scripts as the pipeline sees them; compose puts the real ones in. */
export interface PostAuth {
  terms(): Promise<PostAuthTerms>;
  /**
   * Never rejects because of a script. If scripts were replaced since `terms` were read, so that nobody would have
   * checked the credentials, it is denied.
   */
  decide(input: PostAuthInput, context?: PostAuthContext): Promise<PostAuthVerdict>;
}
