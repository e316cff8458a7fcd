import type { AuthMethod } from "../../core/credentials.ts";
import type { Secret } from "../../core/secret.ts";

/** What a backend found out besides yes; scripts read it as `info` (COMPATIBILITY section 1). */
export type MethodInfo = {
  user_dn?: string;
  search_base?: string;
  radius_reply?: Record<number, string[]>;
  saml_attr?: Record<string, string[]>;
};

/** `wrong` is the person's fault, `unreachable` an outage: they are never told as one another. */
export type MethodResult =
  | { outcome: "accepted"; userId: string; reason: string; info: MethodInfo }
  | { outcome: "wrong"; reason: string }
  | { outcome: "unreachable"; reason: string };

/** One backend that checks a user name and a password. Never throws for an outage; has its own deadline. */
export type Method = {
  name: AuthMethod;
  check(login: { username: string; password: Secret }): Promise<MethodResult>;
};
