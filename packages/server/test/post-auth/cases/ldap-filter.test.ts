import { describe, expect, test } from "vitest";
import { fakeDirectory } from "../../../src/post-auth/cases/fake-directory.ts";
import { matches, parseFilter } from "../../../src/post-auth/cases/ldap-filter.ts";

const alice = {
  dn: "uid=alice,ou=people,dc=example,dc=org",
  attributes: {
    uid: ["alice"],
    cn: ["Alice  (Engineer) *", "Zoë"],
    memberOf: ["CN=Eng, OU=groups, DC=example, DC=org"],
    uidNumber: ["1007"],
  },
};
const eng = {
  dn: "cn=eng,ou=groups,dc=example,dc=org",
  attributes: { cn: ["eng"], memberOf: ["cn=all,ou=groups,dc=example,dc=org"] },
};
const all = { dn: "cn=all,ou=groups,dc=example,dc=org", attributes: { cn: ["all"], memberOf: [] } };
const entries = [alice, eng, all];

test.each([
  ["(uid=alice)", true],
  ["(UID=ALICE)", true],
  ["uid=alice", true],
  ["(uid=bob)", false],
  ["(uid=*)", true],
  ["(mail=*)", false],
  ["(objectClass=*)", true],
  ["(&)", true],
  ["(|)", false],
  ["(&(uid=alice)(cn=zo\\c3\\ab))", true],
  ["(|(uid=bob)(uid=alice))", true],
  ["(!(uid=bob))", true],
  ["(&(uid=alice)(!(cn=zoë)))", false],
  ["(cn=alice*)", true],
  ["(cn=*engineer*)", true],
  ["(cn=a*\\28eng*\\2a)", true],
  ["(cn=alice*alice*)", false],
  ["(cn=Alice \\28Engineer\\29 \\2a)", true],
  ["(uidNumber>=999)", true],
  ["(uidNumber<=999)", false],
  ["(uid~=Alice)", true],
  ["(memberOf=cn=eng,ou=groups,dc=example,dc=org)", true],
  ["(memberOf=cn=all,ou=groups,dc=example,dc=org)", false],
  ["(memberOf:1.2.840.113556.1.4.1941:=cn=all,ou=groups,dc=example,dc=org)", true],
  ["(memberOf:1.2.840.113556.1.4.1941:=cn=none,ou=groups,dc=example,dc=org)", false],
  ["(uid:caseExactMatch:=alice)", true],
])("the filter %s: %s", (filter, expected) => {
  expect(matches(parseFilter(filter), alice, entries)).toBe(expected);
});

test.each([
  "",
  "(",
  "(uid=alice",
  "(uid=alice))",
  "(uid)",
  "(=x)",
  "(&(uid=a)",
  "(uid=\\zz)",
  "(uid=a\\2)",
  "(!)",
  `${"(!".repeat(100)}(a=b)${")".repeat(100)}`,
])("what is no filter is refused: %j", (filter) => {
  expect(() => parseFilter(filter)).toThrow(/bad search filter/);
});

describe("the fake directory", () => {
  const search = fakeDirectory(entries);
  const dns = async (base: string, scope: "base" | "one" | "sub") =>
    (await search({ base, filter: "(cn=*)", attributes: [], scope })).map(({ dn }) => dn.split(",")[0]);

  test("looks below the base, as far as the scope says", async () => {
    expect(await dns("DC=Example, DC=org", "sub")).toEqual(["uid=alice", "cn=eng", "cn=all"]);
    expect(await dns("ou=groups,dc=example,dc=org", "one")).toEqual(["cn=eng", "cn=all"]);
    expect(await dns("dc=example,dc=org", "one")).toEqual([]);
    expect(await dns("cn=eng,ou=groups,dc=example,dc=org", "base")).toEqual(["cn=eng"]);
    expect(await dns("ou=people,dc=elsewhere", "sub")).toEqual([]);
    expect(await dns("", "sub")).toEqual(["uid=alice", "cn=eng", "cn=all"]);
  });

  test("gives the attributes that were asked for, under their own names", async () => {
    const asked = { base: "", filter: "(uid=alice)", attributes: ["UIDNUMBER", "mail"] };
    expect(await search(asked)).toEqual([{ dn: alice.dn, attributes: { uidNumber: ["1007"] } }]);
  });

  test("refuses a bad filter as a server does", async () => {
    await expect(search({ base: "", filter: "(uid=", attributes: [] })).rejects.toThrow("bad search filter");
  });
});
