import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DirectorySearch } from "../../../src/core/directory-search.ts";
import type { ScriptHost } from "../../../src/runner/runner.ts";
import { callOf, type PythonScripts, pythonScripts, returned, scriptOf } from "./python-scripts.ts";

let scripts: PythonScripts;
beforeAll(async () => {
  scripts = await pythonScripts();
});
afterAll(() => scripts[Symbol.asyncDispose]());

const script = (body: string): Promise<ScriptHost> => scripts.host({ text: scriptOf(body) });

describe("the directory", () => {
  const entry = { dn: "uid=alice,dc=example", attributes: { uid: ["alice"], memberOf: ["cn=a", "cn=b"] } };
  const search =
    (asked: unknown[]): DirectorySearch =>
    async (query) => {
      asked.push(query);
      if (query.filter === "(broken)") throw new Error("bad search filter");
      return query.filter.includes("alice") ? [entry] : [];
    };

  test("is searched by the server on the script's behalf", async () => {
    const host = await script(
      [
        "with info['ldap_context'] as l:",
        "    found = l.search('dc=example', '(%s=alice)' % info['ldap_context'].authldap.parms['uname_attr'],",
        "                     attributes=['UID', 'memberOf', 'mail'])",
        "    one = l.entries[0]",
        "    assert found is True and len(l.entries) == 1 and one.entry_dn == 'uid=alice,dc=example'",
        "    assert one.uid.value == 'alice' and one.memberof.value == ['cn=a', 'cn=b'] == one['memberOf'].values",
        "    assert one.mail.value is None and not one.mail and 'mail' in one and 'sn' not in one",
        "    assert one.entry_attributes_as_dict == {'uid': ['alice'], 'memberOf': ['cn=a', 'cn=b']}",
        "    assert not hasattr(one, 'sn')",
        "    assert l.search('dc=example', '(uid=bob)', 'BASE') is False and l.entries == []",
        "    try: l.search('dc=example', '(broken)')",
        "    except Exception as error: print(type(error).__name__, error)",
        "return authret",
      ].join("\n"),
    );
    const asked: unknown[] = [];
    const result = await host.call(callOf({ directory: { search: search(asked), uname_attr: "uid" } }));
    expect(returned(result).printed).toBe("DirectoryError bad search filter\n");
    expect(asked).toEqual([
      { base: "dc=example", filter: "(uid=alice)", attributes: ["UID", "memberOf", "mail"], scope: "sub" },
      { base: "dc=example", filter: "(uid=bob)", attributes: [], scope: "base" },
      { base: "dc=example", filter: "(broken)", attributes: [], scope: "sub" },
    ]);
  });

  test("serves many calls at once, more than there are threads free to read its answers", async () => {
    await using few = await pythonScripts({ threadsPerWorker: 8, workersPerScript: 1, maxWorkersPerScript: 1 });
    const host = await few.host({
      text:
        "def post_auth(authcred, b, authret, info):\n    with info['ldap_context'] as l:\n" +
        "        l.search('', authcred['username'])\n    return authret\n",
    });
    let waiting = 0;
    let release = () => {};
    const all = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow: DirectorySearch = async () => {
      waiting += 1;
      if (waiting === 8) release();
      await all;
      return [];
    };
    const calls = Array.from({ length: 8 }, () =>
      host.call(callOf({ directory: { search: slow, uname_attr: "uid" } })),
    );
    for (const result of await Promise.all(calls)) returned(result);
  });

  test("is not there where the server has none", async () => {
    const host = await script("assert 'ldap_context' not in info\nreturn authret");
    returned(await host.call(callOf()));
  });
});

describe("what a script keeps", () => {
  test("on authret.state is handed back as it was", async () => {
    const host = await scripts.host({
      text: [
        "class Ticket:",
        "    pass",
        "def post_auth(authcred, attributes, authret, info):",
        "    if authret.state is None:",
        "        authret.state = {'n': (1, {2}), 't': Ticket()}",
        "    else:",
        "        assert authret['state']['n'] == (1, {2}) and isinstance(authret.state['t'], Ticket)",
        "        print('again')",
        "        del authret['state']",
        "    return authret",
      ].join("\n"),
    });
    const first = returned(await host.call(callOf()));
    expect(first.value).not.toHaveProperty("state");
    const second = returned(await host.call(callOf({ state: first.state ?? "" })));
    expect([second.printed, second.state]).toEqual(["again\n", null]);
    const spoiled = await host.call(callOf({ state: "bm9uc2Vuc2U=" }));
    expect(spoiled).toMatchObject({ outcome: "raised", message: expect.stringContaining("cannot be read") });
  });

  test("between the rounds of a challenge comes back with the answer", async () => {
    const host = await scripts.host({
      text: [
        "def post_auth_cr(authcred, attributes, authret, info, crstate):",
        "    if crstate.get('asked', 0) == 0:",
        "        assert crstate.response() is None",
        "        crstate['asked'] = 1",
        "        crstate.challenge_post_auth(authret, 'Code?', echo=True)",
        "    elif crstate.response() != '42':",
        "        crstate['asked'] += 1",
        "        crstate.challenge_post_auth(authret, 'Again?')",
        "    else:",
        "        print(crstate['asked'])",
        "        crstate.expire()",
        "    return authret",
      ].join("\n"),
    });
    const first = returned(await host.call(callOf()));
    expect(first.challenge).toEqual({ text: "Code?", echo: true });
    expect(first.value).toMatchObject({ status: 1 });
    const second = returned(await host.call(callOf({ crstate: first.crstate ?? "", response: "41" })));
    expect(second.challenge).toEqual({ text: "Again?", echo: false });
    const third = returned(await host.call(callOf({ crstate: second.crstate ?? "", response: "42" })));
    expect(third).toMatchObject({ challenge: null, crstate: null, printed: "2\n", value: { status: 0 } });
  });
});
