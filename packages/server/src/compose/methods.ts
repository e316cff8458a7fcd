import type { Passwords } from "../accounts/passwords.ts";
import { configuredMethod } from "../auth/methods/configured.ts";
import { ldapMethod } from "../auth/methods/ldap.ts";
import { readLdapSettings } from "../auth/methods/ldap-options.ts";
import { localMethod } from "../auth/methods/local.ts";
import type { Method } from "../auth/methods/method.ts";
import { pamMethod } from "../auth/methods/pam.ts";
import { readPamSettings } from "../auth/methods/pam-options.ts";
import { radiusMethod } from "../auth/methods/radius.ts";
import { readRadiusSettings } from "../auth/methods/radius-options.ts";
import { samlMethod } from "../auth/methods/saml.ts";
import { readSamlSettings } from "../auth/methods/saml-options.ts";
import type { SamlSignIns } from "../auth/methods/saml-sign-ins.ts";
import type { Log } from "../core/log.ts";
import type { Store } from "../store/store.ts";

/** Every backend that checks credentials. Those with settings take them as they are at each login. */
export function composeMethods(options: {
  store: Pick<Store, "accounts" | "settings">;
  passwords: Passwords;
  /** How this server names itself to RADIUS servers. */
  nasIdentifier: string;
  /** How browsers reach this server. */
  publicUrl: string;
  signIns: SamlSignIns;
  log: Log;
}): Method[] {
  const { store, passwords, nasIdentifier, publicUrl, signIns, log } = options;
  const live = { settings: () => store.settings.list(), log };
  return [
    localMethod({
      passwordDigest: async (userId) => (await store.accounts.user(userId))?.passwordDigest,
      verify: passwords.verify,
      verifyNobody: passwords.verifyNobody,
    }),
    configuredMethod({ ...live, name: "pam", read: readPamSettings, create: pamMethod }),
    configuredMethod({ ...live, name: "ldap", read: readLdapSettings, create: (given) => ldapMethod(given, log) }),
    configuredMethod({
      ...live,
      name: "radius",
      read: (settings) => readRadiusSettings(settings, { nasIdentifier }),
      create: (given) => radiusMethod(given, log),
    }),
    configuredMethod({
      ...live,
      name: "saml",
      read: (settings) => readSamlSettings(settings, { publicUrl }),
      create: (given) => samlMethod(given, signIns),
    }),
  ];
}
