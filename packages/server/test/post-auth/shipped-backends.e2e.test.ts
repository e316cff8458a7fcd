import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ldapMethod } from "../../src/auth/methods/ldap.ts";
import { readLdapSettings } from "../../src/auth/methods/ldap-options.ts";
import type { Method } from "../../src/auth/methods/method.ts";
import { radiusMethod } from "../../src/auth/methods/radius.ts";
import { readRadiusSettings } from "../../src/auth/methods/radius-options.ts";
import { Secret } from "../../src/core/secret.ts";
import { type FreeRadius, secret, startFreeRadius } from "../auth/methods/freeradius.ts";
import {
  type Certificates,
  makeCertificates,
  people,
  type Slapd,
  service,
  startSlapd,
  suffix,
} from "../auth/methods/slapd.ts";
import { activate } from "./memory-scripts.ts";
import { type Bench, bench, inputOf } from "./scripts-under-test.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const shipped = join(import.meta.dirname, "../../../sdk/scripts");
let under: Bench;
beforeAll(async () => {
  under = await bench();
});
afterAll(() => under[Symbol.asyncDispose]());

type Login = { username: string; password: string; afterwards?: () => Promise<void> };

/** What the script makes of somebody whom the method accepted, and of what happened `afterwards`. */
async function decide(name: string, settings: object, method: Method, login: Login) {
  await under.settings.set(`post_auth.${name}.settings`, JSON.stringify(settings));
  for (const { id } of await under.store.list()) await under.store.remove(id);
  await activate(under.store, name, await readFile(join(shipped, `${name}.ts`), "utf8"), "typescript");
  await under.gate.reload();
  const found = await method.check({
    username: login.username,
    password: new Secret(login.password),
    clientAddress: "192.0.2.7",
  });
  if (found.outcome !== "accepted") throw new Error(`${login.username} was not accepted: ${JSON.stringify(found)}`);
  await login.afterwards?.();
  const { userId, reason, info, directory } = found;
  const input = inputOf({ authret: { user: userId, reason }, info: { auth_method: method.name, ...info } });
  return await under.gate.decide({ ...input, ...(directory && { directory }) });
}

describe("groups of a real LDAP directory", () => {
  let certificates: Certificates;
  let slapd: Slapd;
  let ldap: ReturnType<typeof ldapMethod>;
  beforeAll(async () => {
    certificates = await makeCertificates();
    slapd = await startSlapd({ certificates });
    const { options, faults } = readLdapSettings({
      "auth.ldap.0.bind_dn": service.dn,
      "auth.ldap.0.bind_pw": service.password,
      "auth.ldap.0.users_base_dn": people,
      "auth.ldap.0.server.0.host": `127.0.0.1:${slapd.port}`,
    });
    if (options === undefined) throw new Error(JSON.stringify(faults));
    ldap = ldapMethod(options, quiet);
  });
  afterAll(async () => {
    await ldap?.close?.();
    await slapd?.stop();
    await certificates?.remove();
  });
  const alice = { username: "ALICE", password: "wonder land" };
  const groupBase = `ou=groups,${suffix}`;

  test("are read from the user's own entry", async () => {
    const settings = { groups: { Engineers: "eng" }, properties: { prop_superuser: { engineers: "true" } } };
    expect(await decide("ldap-groups", settings, ldap, alice)).toMatchObject({
      outcome: "allow",
      user: "alice",
      properties: { conn_group: "eng", prop_superuser: "true" },
    });
    expect(await decide("ldap-groups", { groups: { sales: "sales" } }, ldap, alice)).toMatchObject({
      outcome: "deny",
      reason: `in no group that may use the VPN: cn=engineers,ou=groups,${suffix}`,
    });
  });

  test("are searched by their members, in both ways that directories have", async () => {
    const settings = { lookup: "members", groupBase, groups: { engineers: "eng", posix: "unix" } };
    expect(await decide("ldap-groups", settings, ldap, alice)).toMatchObject({ properties: { conn_group: "eng" } });
    const bob = { username: "bob", password: "builder" };
    expect(await decide("ldap-groups", settings, ldap, bob)).toMatchObject({ properties: { conn_group: "unix" } });
  });

  test("of somebody whose name is made of filter syntax are only their own", async () => {
    const settings = { lookup: "members", groupBase, groups: { engineers: "eng", posix: "unix" } };
    const strange = { username: "o'neill (r&d)*\\", password: "star" };
    expect(await decide("ldap-groups", settings, ldap, strange)).toMatchObject({ outcome: "deny" });
  });

  test("cannot be read when the directory is gone: an outage, and nobody's fault", async () => {
    const left = { ...alice, afterwards: () => slapd.stop() };
    expect(await decide("ldap-groups", { groups: { engineers: "eng" } }, ldap, left)).toMatchObject({
      outcome: "deny",
      code: "script-failed",
    });
  });
});

describe("the answer of a real RADIUS server", () => {
  let server: FreeRadius;
  let radius: ReturnType<typeof radiusMethod>;
  beforeAll(async () => {
    server = await startFreeRadius({ messageAuthenticator: true });
    const settings = {
      "auth.radius.0.server.0.host": "127.0.0.1",
      "auth.radius.0.server.0.auth_port": String(server.port),
      "auth.radius.0.server.0.secret": secret,
    };
    const { options, faults } = readRadiusSettings(settings, { nasIdentifier: "vpn.example.org" });
    if (options === undefined) throw new Error(JSON.stringify(faults));
    radius = radiusMethod(options, quiet);
  });
  afterAll(async () => {
    await radius?.close?.();
    await server?.stop();
  });

  test("gives group, address and properties", async () => {
    const settings = {
      groups: { engineers: "eng" },
      addressAttribute: 8,
      properties: {
        prop_superuser: { attribute: 26, values: { "9.1=shell:priv-lvl=15": "true" } },
        prop_autologin: { attribute: 11, values: { two: "true" } },
        prop_deny_web: { attribute: 11, values: { three: "true" }, otherwise: "false" },
      },
    };
    const alice = { username: "alice", password: "wonder land" };
    expect(await decide("radius-groups", settings, radius, alice)).toMatchObject({
      outcome: "allow",
      properties: {
        conn_group: "eng",
        conn_ip: "10.42.0.7",
        prop_superuser: "true",
        prop_autologin: "true",
        prop_deny_web: "false",
      },
    });
    const bob = { username: "bob", password: "builder" };
    expect(await decide("radius-groups", settings, radius, bob)).toMatchObject({
      outcome: "deny",
      reason: "no group: attribute 25 holds nothing",
    });
  });
});
