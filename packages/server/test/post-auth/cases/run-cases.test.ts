import { afterAll, beforeAll, expect, test } from "vitest";
import { readCases } from "../../../src/post-auth/cases/case-file.ts";
import type { CaseResult } from "../../../src/post-auth/cases/compare.ts";
import { runCases } from "../../../src/post-auth/cases/run-cases.ts";
import { type PythonScripts, pythonScripts } from "../../runner/python/python-scripts.ts";
import { fixture, scriptOf } from "../scripts-under-test.ts";

let scripts: PythonScripts;
beforeAll(async () => {
  scripts = await pythonScripts();
});
afterAll(() => scripts[Symbol.asyncDispose]());

async function run(text: string, cases: string, deadlineMs = 20_000): Promise<CaseResult[]> {
  return runCases({ host: await scripts.host({ text }), cases: readCases(cases), deadlineMs });
}
const act = (what: string, expect = "") =>
  `- { authcred: { username: alice }, attributes: { client_info: { UV_ACT: "${what}" } }${expect && `, expect: ${expect}`} }`;

test("a case says what the server would do, in exactly these words", async () => {
  const [one] = await run(
    scriptOf(
      "print('seen', authcred['username'])\nauthret['proplist']['conn_group'] = 'eng'\nreturn authret, {'pvt_a': '1'}",
    ),
    "- name: first\n  authcred: { username: alice }\n  authret: { proplist: { pvt_b: x } }\n  expect: { status: 0, proplist: { conn_group: eng, conn_ip: null } }",
  );
  expect(one).toEqual({
    name: "first",
    passed: true,
    status: 0,
    user: "alice",
    reason: "local auth succeeded",
    client_reason: null,
    proplist: { pvt_b: "x", conn_group: "eng" },
    proplist_save: { pvt_a: "1" },
    challenges: [],
    printed: "seen alice\n",
    error: null,
    duration_ms: expect.any(Number),
    differences: [],
  });
});

test("a case without expectations has neither passed nor failed", async () => {
  expect(await run(scriptOf(""), "- authcred: { username: alice }")).toMatchObject([{ passed: null, status: 0 }]);
});

test("what is not as expected is said", async () => {
  const [one] = await run(
    await fixture("contract"),
    act(
      "fail",
      "{ status: 0, user: bob, reason: x, client_reason: null, proplist: { pvt_seen: 'no' }, proplist_save: { a: b }, printed: y, error: z, challenges: [q] }",
    ),
  );
  expect(one?.passed).toBe(false);
  expect(one?.differences).toEqual([
    "status: expected 0, was 1",
    'user: expected "bob", was "alice"',
    'reason: expected "x", was "no hardware address"',
    'client_reason: expected null, was "This device is not known."',
    'proplist.pvt_seen: expected "no", was "yes"',
    'proplist_save.a: expected "b", was null',
    'challenges: expected ["q"], was []',
    'printed: expected "y", was ""',
    'error: expected "z", was null',
  ]);
});

test.each([
  ["False", "it must be one of the integers"],
  ["list group", "conn_group'] is a list"],
  ["exception", "line 49, in explode"],
  ["forgot to return", "nothing (None) where authret was expected"],
])("what the server makes of a result counts: %s", async (what, error) => {
  const [one] = await run(await fixture("contract"), act(what, `{ status: 1, error: "${error}" }`));
  expect(one).toMatchObject({ passed: true, status: 1 });
});

test("a warning is an error to look at, though the case admits", async () => {
  const [one] = await run(await fixture("contract"), act("top-level group", "{ status: 0, error: is ignored }"));
  expect(one).toMatchObject({ passed: true, status: 0 });
});

test("a case that takes too long or kills the script fails, and the next one runs", async () => {
  const text = scriptOf(
    "import os, time\nif authcred['username'] == 'slow': time.sleep(600)\nif authcred['username'] == 'dead': os._exit(1)",
  );
  const results = await run(
    text,
    ["slow", "dead", "alice"].map((name) => `- { authcred: { username: ${name} } }`).join("\n"),
    1_000,
  );
  expect(results.map(({ status, error }) => [status, error])).toEqual([
    [1, "the post-auth script script did not answer within 1 s"],
    [1, "the post-auth script script: the script's process ended with status 1"],
    [0, null],
  ]);
});

test("questions are answered in order, and one too many denies", async () => {
  const text = [
    "def post_auth_cr(authcred, attributes, authret, info, crstate):",
    "    crstate['said'] = crstate.get('said', []) + [crstate.response()]",
    "    if crstate.response() == '42':",
    "        print(crstate['said'])",
    "    else:",
    "        crstate.challenge_post_auth(authret, 'Code %d?' % len(crstate['said']), True)",
    "    return authret",
  ].join("\n");
  const base = "- authcred: { username: alice }\n  responses:";
  expect(
    await run(text, `${base} [41, 42]\n  expect: { status: 0, challenges: ["Code 1?", "Code 2?"] }`),
  ).toMatchObject([
    {
      passed: true,
      printed: "[None, '41', '42']\n",
      challenges: [
        { text: "Code 1?", echo: true },
        { text: "Code 2?", echo: true },
      ],
    },
  ]);
  expect(await run(text, `${base} [41]`)).toMatchObject([{ status: 1, challenges: [{}, {}], error: null }]);
});

test("a case's directory is searched as a real one", async () => {
  const text = scriptOf(
    [
      "with info['ldap_context'] as l:",
      "    name = l.authldap.parms['uname_attr']",
      "    found = l.search(info['search_base'], '(%s=%s)' % (name, authcred['username']), attributes=['memberOf'])",
      "    groups = l.entries[0].memberOf.value if found else []",
      "    print(found, groups)",
    ].join("\n"),
  );
  const results = await run(
    text,
    `
- authcred: { username: alice }
  info: { auth_method: ldap, search_base: "DC=example,DC=org" }
  uname_attr: sAMAccountName
  ldap:
    - dn: "CN=Alice,OU=People,DC=example,DC=org"
      attributes: { sAMAccountName: Alice, memberOf: [ "CN=Eng,DC=example,DC=org", "CN=All,DC=example,DC=org" ] }
  expect: { printed: "True ['CN=Eng,DC=example,DC=org', 'CN=All,DC=example,DC=org']" }
- authcred: { username: bob }
  info: { auth_method: ldap, search_base: "dc=example,dc=org" }
  ldap: []
  expect: { printed: "False []" }
`,
  );
  expect(results.map(({ passed }) => passed)).toEqual([true, true]);
});
