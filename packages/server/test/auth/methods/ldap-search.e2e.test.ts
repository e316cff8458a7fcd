import { describe, expect, test } from "vitest";
import type { Settings } from "../../../src/auth/methods/settings.ts";
import { engineers, ldapUnderTest } from "./ldap-under-test.ts";
import { freePort, people, suffix } from "./slapd.ts";

const { methodOf, other, plain } = ldapUnderTest();

describe("searches of scripts", () => {
  const search = (more: Settings = {}) => methodOf([plain()], more).directory.search;

  test("entries come with their DN and all values as lists", async () => {
    const found = await search()({
      base: suffix,
      filter: `(member=uid=alice,${people})`,
      attributes: ["cn", "member", "owner"],
    });
    expect(found).toEqual([{ dn: engineers, attributes: { cn: ["engineers"], member: [`uid=alice,${people}`] } }]);
  });

  test("what a script of Access Server asks for is found: the groups of the user", async () => {
    const [entry] = await search()({ base: people, filter: "(uid=alice)", attributes: ["memberOf"] });
    expect(entry?.attributes).toEqual({ memberOf: [engineers] });
  });

  test("the scope is kept", async () => {
    const all = { filter: "(objectClass=*)", attributes: [], base: people } as const;
    expect((await search()({ ...all, scope: "base" })).map((entry) => entry.dn)).toEqual([people]);
    expect((await search()({ ...all, scope: "one" })).map((entry) => entry.dn)).not.toContain(people);
    expect((await search()(all)).map((entry) => entry.dn)).toContain(people);
    expect((await search()(all))[0]?.attributes).toEqual({});
  });

  test("a base that is not there finds nothing, as in ldap3", async () => {
    expect(await search()({ base: `ou=x,${suffix}`, filter: "(cn=*)", attributes: [] })).toEqual([]);
  });

  test("a filter that is none is the script's fault", async () => {
    const query = { base: suffix, attributes: [] };
    await expect(search()({ ...query, filter: "(cn=" })).rejects.toMatchObject({ code: "invalid-input" });
    await expect(search()({ ...query, filter: "(cn=x)", base: "not a dn" })).rejects.toMatchObject({
      code: "invalid-input",
    });
  });

  test("a server that does not answer is an outage", async () => {
    const dead = methodOf([`127.0.0.1:${await freePort()}`]).directory.search;
    await expect(dead({ base: suffix, filter: "(cn=*)", attributes: [] })).rejects.toMatchObject({
      code: "method-unreachable",
    });
  });

  test("more pages than one are put together, binary values are text, and too many entries are refused", async () => {
    const many = await other(undefined, {
      settings: ["sizelimit unlimited"],
      entries: Array.from(
        { length: 1100 },
        (_, i) => `
dn: cn=m${i},ou=groups,${suffix}
objectClass: inetOrgPerson
cn: m${i}
sn: ${i < 450 ? "few" : "rest"}
${i === 0 ? "jpegPhoto:: /9j/4A==\n" : ""}`,
      ).join(""),
    });
    const method = methodOf([`127.0.0.1:${many.port}`]);
    const base = `ou=groups,${suffix}`;
    const few = await method.directory.search({ base, filter: "(sn=few)", attributes: ["cn", "jpegPhoto"] });
    expect(new Set(few.map((entry) => entry.attributes.cn?.[0])).size).toBe(450);
    expect(few.find((entry) => entry.dn.startsWith("cn=m0,"))?.attributes.jpegPhoto).toEqual(["/9j/4A=="]);
    await expect(method.directory.search({ base, filter: "(sn=*)", attributes: [] })).rejects.toMatchObject({
      code: "invalid-input",
      message: expect.stringContaining("over 1000 entries"),
    });
  });
});
