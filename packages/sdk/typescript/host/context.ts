import type { Challenge, ChallengeOptions, JsonObject, Ldap, PostAuthContext, Radius, Saml } from "../index.ts";
import { type Arguments, dictionary } from "./arguments.ts";
import { format } from "./output.ts";

/** What a call begins with, beside its arguments. */
export type ContextOptions = {
  settings: JsonObject;
  info: Arguments["info"];
  ldap: Ldap | undefined;
  /** When the server stops waiting, on the clock of `performance.now()`. */
  deadline: number;
  print: (text: string) => void;
  response: string | undefined;
  state: JsonObject;
  session: JsonObject;
};

/** A script that is told in time can still say why it gave up; how much earlier depends on how long it had. */
const mostAheadMs = 500;
const leastAheadMs = 20;

export class CallContext implements PostAuthContext {
  readonly settings: JsonObject;
  readonly ldap: Ldap | undefined;
  readonly radius: Radius | undefined;
  readonly saml: Saml | undefined;
  readonly response: string | undefined;
  state: JsonObject;
  session: JsonObject;
  readonly #deadline: number;
  readonly #print: (text: string) => void;
  #signal: AbortSignal | undefined;

  constructor({ info, ...options }: ContextOptions) {
    this.settings = options.settings;
    this.ldap = options.ldap;
    this.radius = info.radius_reply && radiusOf(info.radius_reply);
    this.saml = info.saml_attr && samlOf(info.saml_attr);
    this.response = options.response;
    this.state = options.state;
    this.session = options.session;
    this.#deadline = options.deadline;
    this.#print = options.print;
  }

  log = (...values: unknown[]): void => {
    this.#print(format(values));
  };

  challenge = (text: string, { echo = false }: ChallengeOptions = {}): Challenge => ({
    decision: "challenge",
    text,
    echo,
  });

  get signal(): AbortSignal {
    const leftMs = Math.max(0, this.#deadline - performance.now());
    const aheadMs = Math.min(mostAheadMs, Math.max(leastAheadMs, leftMs / 10));
    this.#signal ??= AbortSignal.timeout(Math.max(0, Math.floor(leftMs - aheadMs)));
    return this.#signal;
  }

  /** Whether the script gave up because its signal told it to. */
  gaveUp(error: unknown): boolean {
    if (!this.#signal?.aborted) return false;
    const { reason } = this.#signal;
    return error === reason || (error instanceof Error && error.cause === reason);
  }
}

function radiusOf(reply: Record<string, string[]>): Radius {
  const attributes = dictionary(reply) as Radius["attributes"];
  return { attributes, values: (attribute) => attributes[attribute] ?? [] };
}

function samlOf(given: Record<string, string[]>): Saml {
  const attributes = dictionary(given);
  return { attributes, values: (attribute) => attributes[attribute] ?? [] };
}
