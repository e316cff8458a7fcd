import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Secret } from "../../src/core/secret.ts";
import { type Bench, bench, inputOf, scriptOf as pythonOf } from "./scripts-under-test.ts";

let under: Bench;
beforeEach(async () => {
  under = await bench();
});
afterEach(() => under[Symbol.asyncDispose]());

/** A TypeScript script whose function has this body. */
const typeScriptOf = (body: string, options = "{}") =>
  `import { allow, definePostAuth, deny } from "@sallyport/sdk";\nexport default definePostAuth(${options}, (request, ctx) => {\n${body}\n});\n`;

describe("scripts of both languages in one chain", () => {
  test("each see what the one before decided, and pass data along", async () => {
    await under.live(
      "one",
      pythonOf("authret['proplist']['pvt_a'] = '1'\nauthret['risk'] = 2.0\nauthret['tags'] = ['x']"),
    );
    const two = [
      "const { risk, tags } = request.data;",
      "if (request.properties.pvt_a !== '1' || risk !== 2 || !Array.isArray(tags)) return deny('one was not heard');",
      "return allow({ user: 'bob', group: 'eng', properties: { pvt_b: '2' }, save: { pvt_s: 'x' }, data: { risk: risk + 0.5, ok: true } });",
    ].join("\n");
    await under.live("two", typeScriptOf(two), "typescript");
    const three = [
      "assert authret.user == 'bob' and authret['proplist'] == {'pvt_a': '1', 'pvt_b': '2', 'conn_group': 'eng'}",
      "assert authret.risk == 2.5 and authret.ok is True and authret.tags == ['x']",
      "authret['whole'] = 3.0",
      "authret['proplist']['pvt_c'] = '3'",
    ].join("\n");
    await under.live("three", pythonOf(three));
    await under.live("four", pythonOf("assert isinstance(authret.whole, float) and authret.whole == 3"));
    await under.live(
      "five",
      typeScriptOf("return allow({ reason: 'risk ' + request.data.risk + ' of ' + request.user });"),
      "typescript",
    );
    expect(await under.gate.decide(inputOf())).toMatchObject({
      outcome: "allow",
      user: "bob",
      reason: "risk 2.5 of bob",
      properties: { pvt_a: "1", pvt_b: "2", pvt_c: "3", conn_group: "eng" },
      save: { pvt_s: "x" },
      warnings: [],
    });
  });

  test("end with the first denial, whichever language it is in", async () => {
    await under.live("one", typeScriptOf("return allow({ save: { pvt_s: 'x' } });"), "typescript");
    await under.live("two", pythonOf("authret['status'] = FAIL\nauthret['reason'] = 'enough'"));
    await under.live("three", typeScriptOf("console.log('never');\nreturn allow();"), "typescript");
    const verdict = await under.gate.decide(inputOf());
    expect(verdict).toMatchObject({ outcome: "deny", code: "script-denied", reason: "enough", save: {}, printed: "" });
  });

  test("go on at the script that asked, with what those before it decided", async () => {
    await under.live(
      "one",
      pythonOf("authret['proplist']['pvt_n'] = str(int(authret['proplist'].get('pvt_n', '0')) + 1)"),
    );
    const two = [
      "ctx.state.rounds = Number(ctx.state.rounds ?? 0) + 1;",
      "if (ctx.response === undefined) return ctx.challenge('Code?', { echo: true });",
      "return ctx.response === '42' ? allow({ data: { rounds: ctx.state.rounds } }) : deny('another code');",
    ].join("\n");
    await under.live("two", typeScriptOf(two), "typescript");
    await under.live("three", pythonOf("authret['reason'] = 'after %d rounds' % authret.rounds"));
    const asked = await under.gate.decide(inputOf());
    expect(asked).toMatchObject({ outcome: "challenge", question: { text: "Code?", echo: true } });
    const resume = structuredClone(asked.question?.resume);
    const answered = (response: string) =>
      under.gate.decide(inputOf(), { answer: { resume, response: new Secret(response) } });
    expect(await answered("42")).toMatchObject({
      outcome: "allow",
      reason: "after 2 rounds",
      properties: { pvt_n: "1" },
    });
    expect(await answered("41")).toMatchObject({ outcome: "deny", reason: "another code" });
  });

  test("keep what belongs to the session apart", async () => {
    const count =
      "ctx.session.count = Number(ctx.session.count ?? 0) + 1;\nconsole.log(ctx.session.count);\nreturn allow();";
    await under.live("one", typeScriptOf(count), "typescript");
    await under.live("two", pythonOf("authret.state = (authret.state or 0) + 10\nprint(authret.state)"));
    const first = await under.gate.decide(inputOf());
    const second = await under.gate.decide(inputOf(), { states: first.states });
    expect([first.printed, second.printed]).toEqual(["[one]\n1\n[two]\n10\n", "[one]\n2\n[two]\n20\n"]);
  });
});

describe("a TypeScript script", () => {
  test("asks for terms as any script does", async () => {
    await under.live("one", typeScriptOf("return allow();", "{ authNull: true, groupSelect: true }"), "typescript");
    expect(await under.gate.terms()).toEqual({ loaded: true, authNull: true, groupSelect: true });
  });

  test("is given the password only where it asks for it", async () => {
    const tell = "return deny(String(request.password));";
    const authcred = { username: "alice", client_ip_addr: "192.0.2.7", password: new Secret("geheim") };
    await under.live("one", typeScriptOf(tell), "typescript");
    expect(await under.gate.decide(inputOf({ authcred }))).toMatchObject({ reason: "undefined" });
    await under.live("one", typeScriptOf(tell, "{ retainPassword: true }"), "typescript");
    expect(await under.gate.decide(inputOf({ authcred }))).toMatchObject({ reason: "[secret]" });
  });

  test.each([
    ["allow({ properties: { prop_expire: 5 } })", "properties['prop_expire'] is the number 5; properties are strings"],
    ["allow({ properties: { prop_deny: true } })", "properties['prop_deny'] is true; properties are strings"],
    ["allow({ group: undefined })", "properties['conn_group'] is undefined; properties are strings"],
    ["allow({ group: ['eng'] })", "properties['conn_group'] is a list; properties are strings"],
    ["allow({ properties: [] })", "properties is a list; it must be an object of strings"],
    ["allow({ save: { a: {} } })", "save['a'] is an object; properties are strings"],
    ["allow({ user: '' })", "user is empty"],
    ["allow({ user: 7 })", "user is the number 7; it must be a string of at most 4096 characters"],
    ["allow({ user: 'a\\0b' })", /user is the string "a\\u0000b"/],
    ["allow({ reason: '\\ud800' })", /reason is the string "\\ud800"/],
    ["undefined", "the script returned undefined; it must return allow(…), deny(…) or ctx.challenge(…)"],
    ["true", "the script returned a boolean; it must return allow(…), deny(…) or ctx.challenge(…)"],
  ])("that returns what is no decision denies, in words its author knows: %s", async (answer, reason) => {
    await under.live("one", typeScriptOf(`return ${answer};`), "typescript");
    expect(await under.gate.decide(inputOf())).toMatchObject({
      outcome: "deny",
      code: "script-bad-result",
      reason: typeof reason === "string" ? reason : expect.stringMatching(reason),
    });
  });

  test("that puts properties beside their place is warned of it", async () => {
    await under.live("one", typeScriptOf("return allow({ data: { conn_group: 'eng' } });"), "typescript");
    const { properties, warnings } = await under.gate.decide(inputOf());
    expect(properties).toEqual({});
    expect(warnings).toEqual(["data.conn_group is ignored; it belongs in properties"]);
  });
});
