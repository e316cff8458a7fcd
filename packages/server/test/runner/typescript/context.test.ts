import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DirectorySearch } from "../../../src/core/directory-search.ts";
import type { ScriptHost } from "../../../src/runner/runner.ts";
import { callOf, returned } from "../script-calls.ts";
import { scriptOf, type TypeScriptScripts, typeScriptScripts } from "./typescript-scripts.ts";

let scripts: TypeScriptScripts;
beforeAll(async () => {
  scripts = await typeScriptScripts();
});
afterAll(() => scripts[Symbol.asyncDispose]());

const script = (body: string, options?: string): Promise<ScriptHost> => scripts.host({ text: scriptOf(body, options) });
const given = { status: 0, user: "alice", reason: "local auth succeeded", proplist: {} };

describe("the directory", () => {
  const entry = { dn: "uid=alice,dc=example", attributes: { uid: ["alice"], memberOf: ["cn=a", "cn=b"] } };
  const info = { auth_method: "ldap", user_dn: "uid=alice,dc=example", search_base: "dc=example" };
  const directoryOf = (search: DirectorySearch) => ({ info, directory: { search, uname_attr: "uid" } });

  test("is searched by the server on the script's behalf", async () => {
    const asked: unknown[] = [];
    const host = await script(
      [
        "const name = 'a*l(i)c\\\\e';",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the script's own template
        "const filter = ldapFilter`(&(uid=${name})(n=${5}))`;",
        "const [one, none] = await ctx.ldap.search({ filter, attributes: ['memberOf'] });",
        "const me = await ctx.ldap.readUser(['memberOf']);",
        "const facts = [ctx.ldap.userDn, ctx.ldap.searchBase, ctx.ldap.nameAttribute];",
        "return deny(JSON.stringify([one.dn, one.values('MEMBEROF'), one.value('uid'), one.value('mail') ?? null,",
        "  one.attributes.memberOf, none ?? null, me.dn, facts]));",
      ].join("\n"),
    );
    const call = callOf(
      directoryOf(async (query) => {
        asked.push(query);
        return [entry];
      }),
    );
    const { reason } = returned(await host.call(call)).value as typeof given;
    const values = ["cn=a", "cn=b"];
    const facts = [info.user_dn, info.search_base, "uid"];
    expect(JSON.parse(reason)).toEqual([entry.dn, values, "alice", null, values, null, entry.dn, facts]);
    const attributes = ["memberOf"];
    expect(asked).toEqual([
      { base: "dc=example", filter: "(&(uid=a\\2al\\28i\\29c\\5ce)(n=5))", attributes, scope: "sub" },
      { base: info.user_dn, filter: "(objectClass=*)", attributes, scope: "base" },
    ]);
  });

  test("that refuses is an exception, which a script may catch", async () => {
    const body = "await ctx.ldap.search({ filter: '(broken)' });\nreturn allow();";
    const refusing = callOf(directoryOf(async () => Promise.reject(new Error("bad search filter"))));
    const result = await (await script(body)).call(refusing);
    expect(result).toMatchObject({ outcome: "raised", message: "bad search filter" });
    expect(result.outcome === "raised" && result.traceback).toContain("DirectoryError: bad search filter");
    const caught = await script(`try {\n${body}\n} catch (error) {\n  return deny(error.name);\n}`);
    expect(returned(await caught.call(refusing)).value).toMatchObject({ reason: "DirectoryError" });
  });

  test("answers many searches of many calls, each its own", async () => {
    const host = await script(
      "const found = await Promise.all([1, 2, 3].map((n) => ctx.ldap.search({ filter: request.signedInAs + ' ' + n })));\n" +
        "return deny(found.flat().map(({ dn }) => dn).join(','));",
    );
    const search: DirectorySearch = async ({ filter }) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
      return [{ dn: filter, attributes: {} }];
    };
    const names = Array.from({ length: 50 }, (_, i) => `user${i}`);
    const calls = names.map((username) => host.call(callOf({ authcred: { username }, ...directoryOf(search) })));
    const reasons = (await Promise.all(calls)).map((one) => (returned(one).value as typeof given).reason);
    expect(reasons).toEqual(names.map((name) => `${name} 1,${name} 2,${name} 3`));
  });

  test("is not asked by more searches at once than a call may have", async () => {
    const host = await script(
      "const asked = Array.from({ length: 17 }, () => ctx.ldap.search({ filter: '(a=b)' }));\n" +
        "return deny((await Promise.allSettled(asked)).filter(({ status }) => status === 'rejected')[0]?.reason.message ?? 'none');",
    );
    const slow: DirectorySearch = () => new Promise((resolve) => setTimeout(() => resolve([]), 200));
    const { value } = returned(await host.call(callOf(directoryOf(slow))));
    expect(value).toMatchObject({ reason: expect.stringContaining("more than 16 at once") });
  });

  test("is not there where the server has none", async () => {
    const host = await script("return deny(String(ctx.ldap));");
    expect(returned(await host.call(callOf({ info }))).value).toMatchObject({ reason: "undefined" });
  });
});

describe("what a script keeps", () => {
  test("for the session is handed back as it was", async () => {
    const host = await script(
      "const { count = 0 } = ctx.session;\nctx.session = { count: count + 1, nested: { list: ['ü'] } };\n" +
        "if (count === 2) ctx.session = {};\nreturn deny(JSON.stringify(count));",
    );
    const first = returned(await host.call(callOf()));
    expect(first.value).not.toHaveProperty("state");
    const second = returned(await host.call(callOf({ state: first.state ?? "" })));
    expect(second.value).toMatchObject({ reason: "1" });
    const third = returned(await host.call(callOf({ state: second.state ?? "" })));
    expect(third).toMatchObject({ value: { reason: "2" }, state: null });
  });

  test("of another kind than it is now is a fault, not a guess", async () => {
    const host = await script("return allow();");
    for (const state of ["gASVBAAAAAAAAABOLg==", "[]", "5"]) {
      const result = await host.call(callOf({ state }));
      expect(result).toMatchObject({ outcome: "raised", message: /ctx.session was kept by another version/ });
    }
  });

  test("between the rounds of a challenge comes back with the answer", async () => {
    const host = await script(
      [
        "ctx.state.asked = (ctx.state.asked ?? 0) + 1;",
        "if (ctx.response === undefined) return ctx.challenge('Code?', { echo: true });",
        "if (ctx.response !== '42') return ctx.challenge('Again?');",
        "return allow({ reason: 'asked ' + (ctx.state.asked - 1) + ' times' });",
      ].join("\n"),
    );
    const first = returned(await host.call(callOf()));
    expect(first.challenge).toEqual({ text: "Code?", echo: true });
    expect(first.value).toMatchObject({ status: 1, proplist: {} });
    const second = returned(await host.call(callOf({ crstate: first.crstate ?? "", response: "41" })));
    expect(second.challenge).toEqual({ text: "Again?", echo: false });
    const third = returned(await host.call(callOf({ crstate: second.crstate ?? "", response: "42" })));
    expect(third).toMatchObject({ challenge: null, crstate: null, value: { status: 0, reason: "asked 2 times" } });
  });
});

describe("the deadline", () => {
  test("is told to the script in time for an answer of its own", async () => {
    const host = await script(
      "await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));\nreturn deny('the API did not answer');",
    );
    const result = await host.call(callOf({ deadlineMs: 4_000 }));
    expect(returned(result).value).toMatchObject({ status: 1, reason: "the API did not answer" });
    expect(result.durationMs).toBeLessThan(4_000);
  });

  test("reached by what the script waits for is a time-out, and its process lives on", async () => {
    const server = createServer(() => {}).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const host = await script(
      `console.log(process.pid);\nif (request.clientInfo.UV_ACT) await fetch("http://127.0.0.1:${port}/", { signal: ctx.signal });\nreturn allow();`,
    );
    const late = await host.call(callOf({ act: "fetch", deadlineMs: 3_000 }));
    const next = await host.call(callOf());
    server.closeAllConnections();
    server.close();
    expect(late.outcome).toBe("timed-out");
    expect(next).toMatchObject({ outcome: "returned", printed: late.printed });
  });
});

test("a script may ask services over the network", async () => {
  const server = createServer((request, response) => response.end(`hello ${request.url}`)).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const host = await script(
    `const response = await fetch("http://localhost:${port}/alice");\nreturn deny(await response.text());`,
  );
  const { value } = returned(await host.call(callOf()));
  server.closeAllConnections();
  server.close();
  expect(value).toMatchObject({ reason: "hello /alice" });
});
