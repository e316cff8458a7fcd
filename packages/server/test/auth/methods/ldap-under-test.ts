import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { ldapMethod } from "../../../src/auth/methods/ldap.ts";
import { readLdapSettings } from "../../../src/auth/methods/ldap-options.ts";
import type { Settings } from "../../../src/auth/methods/settings.ts";
import { Secret } from "../../../src/core/secret.ts";
import { type Certificates, makeCertificates, people, type Slapd, service, startSlapd, suffix } from "./slapd.ts";

export const engineers = `cn=engineers,ou=groups,${suffix}`;
export const login = (username: string, password: string) => ({ username, password: new Secret(password) });
export const alice = login("alice", "wonder land");
export const accepted = (userId: string) => expect.objectContaining({ outcome: "accepted", userId });
export const wrong = (words: string) => ({ outcome: "wrong", reason: expect.stringContaining(words) });
export const unreachable = (words: string) => ({ outcome: "unreachable", reason: expect.stringContaining(words) });

const quiet = () => undefined;
export const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

/** A real slapd for the tests of the file that calls this, and what they need of the method. */
export function ldapUnderTest() {
  let certificates: Certificates;
  let slapd: Slapd;
  const cleanUp: (() => unknown)[] = [];
  beforeAll(async () => {
    certificates = await makeCertificates();
    slapd = await startSlapd({ certificates, certificate: "good" });
  });
  afterAll(async () => {
    await slapd?.stop();
    await certificates?.remove();
  });
  afterEach(async () => {
    for (const undo of cleanUp.splice(0).reverse()) await undo();
  });
  return {
    certificates: () => certificates,
    slapd: () => slapd,
    /** Done after the present test, the last first. */
    cleanUp,
    /** The method as an administrator's settings make it, asking `hosts` in their order. */
    methodOf(hosts: string[], more: Settings = {}) {
      const settings: Settings = {
        bind_dn: service.dn,
        bind_pw: service.password,
        users_base_dn: people,
        timeout: "20",
        ...Object.fromEntries(hosts.map((host, number) => [`server.${number}.host`, host])),
        ...more,
      };
      const read = readLdapSettings(
        Object.fromEntries(Object.entries(settings).map(([key, value]) => [`auth.ldap.0.${key}`, value])),
      );
      if (read.options === undefined) throw new Error(JSON.stringify(read.faults));
      const method = ldapMethod(read.options, log);
      cleanUp.push(() => method.close?.());
      return method;
    },
    plain: () => `127.0.0.1:${slapd.port}`,
    secure: () => `127.0.0.1:${slapd.tlsPort}`,
    async other(certificate: "good" | "other" | "expired" | undefined, more: object = {}): Promise<Slapd> {
      const one = await startSlapd({ certificates, certificate, ...more });
      cleanUp.push(() => one.stop());
      return one;
    },
  };
}
