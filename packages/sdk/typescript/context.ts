import type { Challenge } from "./answers.ts";
import type { JsonObject } from "./json.ts";

export type ChallengeOptions = {
  /** Whether the client shows what is typed; false unless told. */
  echo?: boolean;
};

/** What a script works with. `Settings` are the script's own, as its options declare them. */
export type PostAuthContext<Settings extends JsonObject = JsonObject> = {
  /** The defaults of the script's options, overlaid with what the administrator set. */
  readonly settings: Settings;
  /** The server's directory; undefined where the user was authenticated by another method. */
  readonly ldap: Ldap | undefined;
  /** The RADIUS server's answer; undefined where the user was authenticated by another method. */
  readonly radius: Radius | undefined;
  /** What the identity provider says of the user; undefined where the user was authenticated by another method. */
  readonly saml: Saml | undefined;
  /** Writes to the attempt's trace, as `console.log` does. */
  log(...values: unknown[]): void;
  /**
   * A question to be put to the user: `return ctx.challenge("Code from the app?")`. The script is called again with the
   * answer in `ctx.response`, and with what it left in `ctx.state`.
   */
  challenge(text: string, options?: ChallengeOptions): Challenge;
  /** The user's answer to the question of the round before; undefined in the first round. */
  readonly response: string | undefined;
  /** Kept from one round of a challenge to the next; empty in the first. Change or replace it. */
  state: JsonObject;
  /** Kept as long as the VPN session lasts, and there again at each reauthentication. Change or replace it. */
  session: JsonObject;
  /**
   * Aborts shortly before the deadline of the call: hand it to `fetch` and whatever else may wait. A script that ends
   * with its error is denied as one that did not answer in time.
   */
  readonly signal: AbortSignal;
};

export type LdapQuery = {
  /** Where to search; the configured search base unless told. */
  base?: string;
  /** RFC 4515. Build it with `ldapFilter`, so that nothing in a value is taken for syntax. */
  filter: string;
  /** The attributes wanted; all, unless told. */
  attributes?: readonly string[];
  /** `base`: that entry alone; `one`: those right below it; `sub` (unless told): all below it, and it. */
  scope?: "base" | "one" | "sub";
};

/** Searches run over the server's own connection, with the rights of the account in its settings. */
export type Ldap = {
  readonly userDn: string | undefined;
  readonly searchBase: string | undefined;
  /** The attribute that names users: `uid`, `sAMAccountName`, … */
  readonly nameAttribute: string;
  /** Rejects where the directory refuses or does not answer. At most 16 at once. */
  search(query: LdapQuery): Promise<LdapEntry[]>;
  /** The user's own entry; undefined where it is not there, or where the server does not know its name. */
  readUser(attributes?: readonly string[]): Promise<LdapEntry | undefined>;
};

export type LdapEntry = {
  readonly dn: string;
  /** With the names as the directory spells them. */
  readonly attributes: { readonly [name: string]: readonly string[] | undefined };
  /** An attribute's values, none where it has none; case does not matter in the name. */
  values(attribute: string): readonly string[];
  /** An attribute's first value. */
  value(attribute: string): string | undefined;
};

export type Radius = {
  /** All attributes of the Access-Accept, by number. */
  readonly attributes: { readonly [number: number]: readonly string[] | undefined };
  /** An attribute's values in the order they came, none where there are none: `ctx.radius.values(25)`. */
  values(attribute: number): readonly string[];
};

export type Saml = {
  readonly attributes: { readonly [name: string]: readonly string[] | undefined };
  /** An attribute's values, none where there are none; case matters in the name. */
  values(attribute: string): readonly string[];
};
