import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ScriptHost } from "../../../src/runner/runner.ts";
import { account, callOf, returned } from "../script-calls.ts";
import { scriptOf, type TypeScriptScripts, typeScriptScripts } from "./typescript-scripts.ts";

let scripts: TypeScriptScripts;
beforeAll(async () => {
  scripts = await typeScriptScripts();
});
afterAll(() => scripts[Symbol.asyncDispose]());

const script = (body: string, options?: string): Promise<ScriptHost> => scripts.host({ text: scriptOf(body, options) });
const given = { status: 0, user: "alice", reason: "local auth succeeded", proplist: {} };

describe("what a script is given", () => {
  let echo: ScriptHost;
  beforeAll(async () => {
    echo = await scripts.host({ fixture: "echo" });
  });
  const seenBy = async (call = callOf()) =>
    JSON.parse((returned(await echo.call(call)).value as { seen: string }).seen);

  test("is what the server sent, under names of its own", async () => {
    const call = callOf({
      authcred: { client_hw_addr: "00:01:02:ab:cd:ef", password: "geheim", static_response: "42" },
      attributes: {
        reauth: true,
        client_info: { UV_ASCLI_VER: "3.5.0", IV_PLAT: "wïn 💻" },
        auth_parms: { X509_0_CN: "alice", tls_serial_0: "1" },
      },
      authret: { user: "Alice", proplist: { pvt_hw_addr: "00:01:02:ab:cd:ef" }, risk: 3 },
      info: { auth_method: "radius", radius_reply: { 25: ["staff"], 26: ["a", "b"] } },
    });
    expect(await seenBy(call)).toEqual({
      request: {
        user: "Alice",
        signedInAs: "alice",
        clientAddress: "192.0.2.7",
        hardwareAddress: "00:01:02:ab:cd:ef",
        clientInfo: { UV_ASCLI_VER: "3.5.0", IV_PLAT: "wïn 💻" },
        certificateFields: { X509_0_CN: "alice", tls_serial_0: "1" },
        method: "radius",
        reason: "local auth succeeded",
        properties: { pvt_hw_addr: "00:01:02:ab:cd:ef" },
        data: { risk: 3 },
        source: "vpn",
        reauth: true,
        password: "geheim",
        staticResponse: "42",
      },
      radius: { attributes: { 25: ["staff"], 26: ["a", "b"] } },
      state: {},
      session: {},
    });
  });

  test("tells tunnels, web pages and the rest apart", async () => {
    const source = async (attributes: Record<string, unknown>) => {
      const { arguments: all, ...call } = callOf();
      return (await seenBy({ ...call, arguments: { ...all, attributes } })).request.source;
    };
    expect(await source({ vpn_auth: true })).toBe("vpn");
    expect(await source({ vpn_auth: false, log_service_name: "WEB_CLIENT" })).toBe("web");
    expect(await source({ vpn_auth: false })).toBe("other");
  });

  test("holds nothing that only every object has", async () => {
    const host = await script(
      "const { clientInfo, properties, certificateFields, data } = request;\n" +
        "const maps = [clientInfo, properties, certificateFields, data, ctx.saml.attributes];\n" +
        "return deny(JSON.stringify(maps.map((one) => [one.constructor, one.toString, '__proto__' in one])));",
    );
    const call = callOf({ info: { auth_method: "saml", saml_attr: {} } });
    const { reason } = returned(await host.call(call)).value as { reason: string };
    expect(JSON.parse(reason)).toEqual(Array.from({ length: 5 }, () => [null, null, false]));
  });

  test("keeps names that look like an object's own", async () => {
    const client_info = JSON.parse('{"__proto__":"x","constructor":"y"}');
    const host = await script("return deny(request.clientInfo['__proto__'] + request.clientInfo.constructor);");
    const { value } = returned(await host.call(callOf({ attributes: { client_info } })));
    expect(value).toMatchObject({ reason: "xy" });
  });

  test.each([
    "request.user = 'bob'",
    "request.properties.a = 'b'",
    "ctx.settings.a = 'b'",
    "ctx.settings.list.push('b')",
  ])("cannot be changed in passing: %s", async (statement) => {
    const host = await script(`${statement};\nreturn allow();`, "{ settings: { a: 'a', list: ['a'] } }");
    expect(await host.call(callOf())).toMatchObject({ outcome: "raised" });
  });

  test("has the values of RADIUS and SAML attributes, none where there are none", async () => {
    const host = await script(
      "const { radius, saml } = ctx;\n" +
        "return deny(JSON.stringify([radius?.values(25), radius?.values(1), saml?.values('groups'), saml?.values('toString')]));",
    );
    const reason = async (info: Record<string, unknown>) =>
      (returned(await host.call(callOf({ info }))).value as typeof given).reason;
    expect(JSON.parse(await reason({ radius_reply: { 25: ["a", "b"] } }))).toEqual([["a", "b"], [], null, null]);
    expect(JSON.parse(await reason({ saml_attr: { groups: ["eng"] } }))).toEqual([null, null, ["eng"], []]);
  });
});

describe("what a script returns", () => {
  let host: ScriptHost;
  beforeAll(async () => {
    host = await scripts.host({ fixture: "returns" });
  });
  const call = (act: string) =>
    host.call(callOf({ act, authret: { proplist: { a: "b", prop_lzo: "true" }, note: ["before"] } }));
  const before = { ...given, proplist: { a: "b", prop_lzo: "true" }, note: ["before"] };

  test.each([
    ["allow", before],
    ["later", before],
    ["thenable", before],
    [
      "all",
      [
        {
          ...before,
          reason: "because",
          user: "bob",
          proplist: { a: "b", prop_lzo: "false", conn_group: "eng", conn_ip: "10.0.0.9" },
          risk: 5,
          tags: ["a"],
        },
        { pvt_seen: "yes" },
      ],
    ],
    ["deny shortly", { ...before, status: 1, reason: "never" }],
    ["deny", { ...before, status: 1, reason: "never", client_reason: "Not today." }],
    ["surrogate", { ...before, status: 1, reason: "\ud800 ünd 💻" }],
    // Judged, and refused, by the rules that hold for all languages.
    ["undefined group", { ...before, proplist: { ...before.proplist, conn_group: null } }],
    ["a number", { ...before, proplist: { ...before.proplist, prop_lzo: 1 } }],
    ["a list of properties", { ...before, proplist: ["a"] }],
    ["saving nothing", [before, null]],
    ["saving a list", [before, ["a"]]],
    ["data named like an inherited property", JSON.parse('{"__proto__":{"status":1}}')],
  ])("comes as authret: %s", async (act, value) => {
    expect(returned(await call(act)).value).toEqual(
      act.startsWith("data named") ? expect.objectContaining({ ...before, status: 0 }) : value,
    );
  });

  const expected = "it must return allow(…), deny(…) or ctx.challenge(…)";
  test.each([
    ["nothing", `the script returned undefined; ${expected}`],
    ["null", `the script returned null; ${expected}`],
    ["true", `the script returned a boolean; ${expected}`],
    ["text", `the script returned a string; ${expected}`],
    ["list", `the script returned a list; ${expected}`],
    ["a class", `the script returned a Answer; ${expected}`],
    ["inherited", `the script returned a Object; ${expected}`],
    ["no decision", `the script returned an object whose decision is undefined; ${expected}`],
    ["another decision", `the script returned an object whose decision is "ALLOW"; ${expected}`],
    ["promise", `the script returned an object whose decision is a Promise; ${expected}`],
    [
      "misspelt",
      /returned allow with "proprties", which means nothing; it may have reason, user, group, address, prop/,
    ],
    ["deny and save", /returned deny with "save", which means nothing; it may have reason, clientReason/],
    ["not a number", "properties.prop_expire is NaN, which cannot be sent"],
    ["a date", "data.at is a Date, which cannot be sent"],
    ["a map", "properties is a Map, which cannot be sent"],
    ["a function", "properties.conn_ip is a function, which cannot be sent"],
    ["a big number", "data.at is a bigint, which cannot be sent"],
    ["data that is none", "data is 5; it must be an object"],
    ["data with a taken name", 'data cannot hold "status": that name is taken'],
    ["cyclic", /is nested more than 32 deep, or holds itself/],
    ["deep", /is nested more than 32 deep, or holds itself/],
    ["huge", "the result is larger than 1048576 bytes"],
    ["many", "the result is larger than 1048576 bytes"],
    ["an empty question", "a challenge's text is a string"],
    ["a question that is no text", "a challenge's text is 5"],
    ["a list as state", "ctx.session is a list; it must be an object"],
    ["a date as session", "ctx.session.at is a Date, which cannot be sent"],
  ])("is refused where no decision can be read from it, with what it is: %s", async (act, message) => {
    const result = await call(act);
    expect(result.outcome === "unsendable" && result.message).toEqual(
      typeof message === "string" ? message : expect.stringMatching(message),
    );
  });

  test("is an exception where looking at it is one", async () => {
    expect(await call("getter")).toMatchObject({ outcome: "raised", message: "the getter threw" });
  });
});

test("a script runs as a guest: its own account, environment and directory, and nothing of the daemon's", async () => {
  process.env.SALLYPORT_TEST_SECRET = "visible";
  const host = await script(
    "const { env, getuid, getgid, getgroups, argv, title } = process;\n" +
      "console.log(JSON.stringify({ env, uid: getuid(), gid: getgid(), groups: getgroups(), cwd: process.cwd(), argv, title }));\n" +
      "return allow();",
  );
  const seen = JSON.parse(returned(await host.call(callOf())).printed);
  delete process.env.SALLYPORT_TEST_SECRET;
  if (account) expect(seen).toMatchObject({ uid: account.uid, gid: account.gid, groups: [account.gid] });
  expect(seen.env).toEqual({
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: "C.UTF-8",
    HOME: scripts.workingDirectory,
  });
  expect(seen.cwd).toBe(scripts.workingDirectory);
  expect(seen.title).toBe("sallyport script script");
});

test("a script can send no signal, by any name", async () => {
  for (const kill of ["process.kill(1, 0)", "process._kill(1, 0)"]) {
    const host = await script(`${kill};\nreturn allow();`);
    expect(await host.call(callOf())).toMatchObject({
      outcome: "raised",
      message: expect.stringMatching(/process.kill/),
    });
  }
});
