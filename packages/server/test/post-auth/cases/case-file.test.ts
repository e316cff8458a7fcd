import { expect, test } from "vitest";
import { readCases } from "../../../src/post-auth/cases/case-file.ts";

const whole = `
- name: engineers get their group
  authcred: { username: alice, client_ip_addr: 192.0.2.7, password: secret1 }
  attributes: { vpn_auth: true, reauth: false, client_info: { IV_PLAT: win, UV_ASCLI_VER: 3.5.0, IV_PROTO: 990, UV_X: 3.10 } }
  authret: { status: 0, user: alice, reason: "ldap auth succeeded", proplist: { pvt_hw_addr: "00:01:02:ab:cd:ef", prop_superuser: true } }
  info: { auth_method: ldap, user_dn: "uid=alice,dc=example", search_base: "dc=example", radius_reply: { 25: [staff, "7"], 26: x } }
  ldap: [ { dn: "uid=alice,dc=example", attributes: { uid: [alice], memberOf: "CN=Eng,DC=example" } } ]
  responses: [42, "007"]
  expect: { status: 0, proplist: { conn_group: eng, conn_ip: null }, client_reason: null, challenges: ["Code?"] }
`;

test("a case is read whole, with texts as they are written", () => {
  const [one] = readCases(whole);
  expect(one?.input.authcred.password?.reveal()).toBe("secret1");
  const { password: _password, ...authcred } = one?.input.authcred ?? { password: undefined };
  expect(authcred).toEqual({ username: "alice", client_ip_addr: "192.0.2.7" });
  expect(one?.input.attributes).toEqual({
    vpn_auth: true,
    reauth: false,
    client_info: { IV_PLAT: "win", UV_ASCLI_VER: "3.5.0", IV_PROTO: "990", UV_X: "3.10" },
    auth_parms: {},
  });
  expect(one?.input.authret).toEqual({
    status: 0,
    user: "alice",
    reason: "ldap auth succeeded",
    proplist: { pvt_hw_addr: "00:01:02:ab:cd:ef", prop_superuser: "true" },
  });
  expect(one?.input.info).toEqual({
    auth_method: "ldap",
    user_dn: "uid=alice,dc=example",
    search_base: "dc=example",
    radius_reply: { 25: ["staff", "7"], 26: ["x"] },
  });
  expect(one).toMatchObject({
    name: "engineers get their group",
    ldap: [{ dn: "uid=alice,dc=example", attributes: { uid: ["alice"], memberOf: ["CN=Eng,DC=example"] } }],
    responses: ["42", "007"],
    expect: { status: 0, proplist: { conn_group: "eng", conn_ip: null }, client_reason: null, challenges: ["Code?"] },
  });
});

test("JSON is read the same way", () => {
  expect(readCases(JSON.stringify([{ authcred: { username: "alice" }, expect: { status: 1 } }]))).toMatchObject([
    { name: "case 1", input: { authcred: { username: "alice" } }, expect: { status: 1 } },
  ]);
});

test("what a case leaves out is what the server sends most often", () => {
  const [one] = readCases("- authcred: { username: alice }");
  expect(one).toEqual({
    name: "case 1",
    input: {
      authcred: { username: "alice", client_ip_addr: "192.0.2.1" },
      attributes: { vpn_auth: true, reauth: false, client_info: {}, auth_parms: {} },
      authret: { status: 0, user: "alice", reason: "local auth succeeded", proplist: {} },
      info: { auth_method: "local" },
    },
    ldap: undefined,
    uname_attr: "uid",
    responses: [],
    expect: undefined,
  });
});

test("a web login has no client_info", () => {
  const [one] = readCases(
    "- { authcred: { username: a }, attributes: { vpn_auth: false, log_service_name: WEB_CLIENT } }",
  );
  expect(one?.input.attributes).toEqual({ vpn_auth: false, log_service_name: "WEB_CLIENT" });
});

test.each([
  ["", "line 1: a list of cases is expected"],
  ["name: x", "line 1: a list of cases is expected"],
  ["- 7", "line 1: a case must be a mapping"],
  ["- authcred: { username: a }\n  expects: {}", 'line 2: "expects" is not known in a case; known are name, authcred'],
  ["- authcred:\n    user: a", 'line 2: "user" is not known in authcred'],
  ["- authcred: { username: a }\n  expect:\n    state: 0", 'line 3: "state" is not known in expect'],
  ["- authcred: { username: a }\n  authret: { status: 1 }", "line 2: authret.status is 0 when a script is called"],
  ["- authcred: { username: a }\n  expect: { status: 2 }", "line 2: status is 0 (admitted) or 1"],
  ["- authcred: { username: a }\n  attributes: { vpn_auth: yes please }", "line 2: true or false is expected here"],
  ["- authcred: { username: [a] }", "line 1: a text is expected here"],
  ["- name: x", "line 1: the case names nobody: authcred.username is missing"],
  ["- authcred: { username: a }\n  ldap: [ { attributes: {} } ]", "line 2: an entry of ldap needs a dn"],
  ["- authcred: { username: a }\n  ldap: [ { dn: x, attrs: {} } ]", 'line 2: "attrs" is not known in an entry of ldap'],
  [
    "- authcred: { username: a }\n  info: { radius_reply: { Class: [x] } }",
    'line 2: "Class" cannot be a key of radius_reply',
  ],
  ["- authcred: { username: a }\n- authcred: { username: b, username: c }", "line 2: Map keys must be unique"],
  ["- authcred: {", "line 1:"],
  [`- authcred: { username: ${"[".repeat(20)}${"]".repeat(20)} }`, "too much in this file, or too deep"],
])("a file that is wrong is refused with the line: %j", (text, message) => {
  expect(() => readCases(text)).toThrow(message);
});

test("aliases that would unfold without end are refused", () => {
  const bomb = [
    "- &a [x, x, x, x, x, x, x, x, x]",
    ..."bcdefgh".split("").map((n, i) => `- &${n} [${Array(9).fill(`*${"abcdefg"[i]}`).join(", ")}]`),
  ];
  expect(() => readCases(bomb.join("\n"))).toThrow("too much in this file, or too deep");
});
