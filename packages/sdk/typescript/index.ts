/** What administrators' scripts in TypeScript import. */
export type { Allow, Answer, Challenge, Deny } from "./answers.ts";
export { allow, deny } from "./answers.ts";
export type { ChallengeOptions, Ldap, LdapEntry, LdapQuery, PostAuthContext, Radius, Saml } from "./context.ts";
export { firstMatch } from "./first-match.ts";
export type {
  ConnectEvent,
  ConnectionFacts,
  DisconnectEvent,
  HookAnswer,
  HookContext,
  HookEvent,
  HookModule,
  Tell,
} from "./hook.ts";
export { defineHook } from "./hook.ts";
export type { JsonObject, JsonValue } from "./json.ts";
export { ldapFilter } from "./ldap-filter.ts";
export { addressIsIn } from "./networks.ts";
export { checkPlatforms } from "./platforms.ts";
export type { Decide, PostAuthOptions, PostAuthScript } from "./post-auth.ts";
export { definePostAuth } from "./post-auth.ts";
export type { AuthMethod, ClientInfo, PostAuthRequest, Properties } from "./request.ts";
export { compareVersions, versionIn, versionIsIn } from "./versions.ts";
