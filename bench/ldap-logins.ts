/*
 * Sign-ins a second through the LDAP method, against bare binds with the same library: to a real slapd on this machine,
 * as many at once for both, in turns. A bare bind opens a connection, binds as the person and closes it, as a program does
 * that checks one password; one that keeps its connection and only binds again is told beside it. A sign-in finds the
 * entry as well, and holds its name against what the directory says: two questions, where a kept connection asks one.
 */
import { Client } from "ldapts";
import { ldapMethod } from "../packages/server/src/auth/methods/ldap.ts";
import { readLdapSettings } from "../packages/server/src/auth/methods/ldap-options.ts";
import { Secret } from "../packages/server/src/core/secret.ts";
import { makeCertificates, people, service, startSlapd } from "../packages/server/test/auth/methods/slapd.ts";
import { inTurns, median, numberOption, ratio, shown } from "./figures.ts";

const atOnce = numberOption("at-once", 8);
const logins = numberOption("logins", 800);
const rounds = numberOption("rounds", 5);
const quiet = () => undefined;

const certificates = await makeCertificates();
const slapd = await startSlapd({ certificates, certificate: "good" });
const host = `127.0.0.1:${slapd.port}`;
const method = (more: Record<string, string>) => {
  const settings = { bind_dn: service.dn, bind_pw: service.password, users_base_dn: people, "server.0.host": host };
  const named = Object.entries({ ...settings, ...more }).map(([key, value]) => [`auth.ldap.0.${key}`, value]);
  const { options, faults } = readLdapSettings(Object.fromEntries(named));
  if (options === undefined) throw new Error(JSON.stringify(faults));
  return ldapMethod(options, { debug: quiet, info: quiet, warn: quiet, error: quiet });
};
const searching = method({});
const direct = method({ user_dn: `uid={username},${people}` });
const password = "wonder land";

async function bare(): Promise<void> {
  const client = new Client({ url: `ldap://${host}` });
  await client.bind(`uid=alice,${people}`, password);
  await client.unbind();
}

const kept = Array.from({ length: atOnce }, () => new Client({ url: `ldap://${host}` }));
async function again(worker: number): Promise<void> {
  await kept[worker]?.bind(`uid=alice,${people}`, password);
}

async function signIn(by: typeof searching): Promise<void> {
  const { outcome } = await by.check({ username: "alice", password: new Secret(password) });
  if (outcome !== "accepted") throw new Error(`the sign-in was ${outcome}`);
}

/** How many a second, so many at once. */
async function rate(one: (worker: number) => Promise<void>): Promise<number> {
  let left = logins;
  const began = performance.now();
  const work = async (_: unknown, worker: number) => {
    while (left-- > 0) await one(worker);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return (logins * 1_000) / (performance.now() - began);
}

const contestants = {
  bare: () => rate(bare),
  again: () => rate(again),
  searching: () => rate(() => signIn(searching)),
  direct: () => rate(() => signIn(direct)),
};
for (const warmUp of Object.values(contestants)) await warmUp();
const results = await inTurns(rounds, contestants);
console.log(`sign-ins a second, ${atOnce} at once, ${rounds} rounds of ${logins}, medians:`);
console.log(`  bare binds ${shown(median(results.bare))}, on kept connections ${shown(median(results.again))}`);
console.log(`  search and bind ${shown(median(results.searching))}, direct bind ${shown(median(results.direct))}`);
ratio("search and bind against bare binds", median(results.searching) / median(results.bare), { atLeast: 0.6 });
ratio("direct bind against bare binds", median(results.direct) / median(results.bare), { atLeast: 0.6 });
ratio("search and bind against binds on kept connections", median(results.searching) / median(results.again));
await Promise.all(kept.map((client) => client.unbind()));
await Promise.all([searching.close?.(), direct.close?.()]);
await slapd.stop();
await certificates.remove();
