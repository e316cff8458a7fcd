import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scriptOf, type TypeScriptScripts, typeScriptScripts } from "./typescript-scripts.ts";

let scripts: TypeScriptScripts;
beforeAll(async () => {
  scripts = await typeScriptScripts();
});
afterAll(() => scripts[Symbol.asyncDispose]());

const simple = scriptOf("return allow();");

describe("a thorough look", () => {
  const look = (text: string, name = "script.ts") => scripts.load({ name, text, thorough: true });

  test("finds type errors, each with line and column", async () => {
    const text = [
      'import { allow, definePostAuth } from "@sallyport/sdk";',
      "export default definePostAuth(async (request, ctx) => {",
      "  if (request.usr === 'alice') return deny('no');",
      "  const [entry] = (await ctx.ldap?.search({ filter: '(uid=x)' })) ?? [];",
      "  return allow({ group: entry.value('o') });",
      "});",
    ].join("\n");
    const outcome = await look(text);
    expect("fault" in outcome && [outcome.fault, ...(outcome.more ?? [])]).toEqual([
      {
        message: expect.stringContaining("Property 'usr' does not exist on type 'PostAuthRequest'"),
        line: 3,
        column: 15,
      },
      { message: expect.stringContaining("Cannot find name 'deny'"), line: 3, column: 39 },
      { message: expect.stringContaining("'string | undefined' is not assignable"), line: 5, column: 16 },
      { message: expect.stringContaining("'entry' is possibly 'undefined'"), line: 5, column: 25 },
    ]);
  });

  test.each([
    ["a path that returns nothing", "if (request.user === 'a') return allow();", "Type 'undefined' is not assignable"],
    ["an answer that is none", "return 'yes';", "'string' is not assignable to type 'Answer'"],
    ["a misspelt key of an answer", "return allow({ proprties: {} });", "'proprties' does not exist"],
    [
      "a property that is no string",
      "return allow({ properties: { prop_lzo: true } });",
      "not assignable to type 'string'",
    ],
    ["a setting that is none", "return deny(ctx.settings.from);", "not assignable"],
    [
      "what is never given",
      "return allow({ address: ctx.radius.values(8)[0] });",
      "'undefined' is not assignable to type 'string'",
    ],
    ["a change that has no effect", "request.user = 'bob'; return allow();", "read-only"],
  ])("finds %s", async (_what, body, message) => {
    const outcome = await look(scriptOf(body));
    expect("fault" in outcome && outcome.fault.message).toContain(message);
    expect("fault" in outcome && outcome.fault.line).toBeGreaterThanOrEqual(2);
  });

  test("knows Node's modules, and settings by their defaults", async () => {
    const body = [
      "const wanted: string[] = ctx.settings.networks;",
      "const digest: string = createHash('sha256').update(ctx.settings.from).digest('hex');",
      "const response = await fetch('https://example.org', { signal: ctx.signal });",
      "return response.ok && wanted.includes(digest) ? allow() : deny({ reason: digest, clientReason: 'no' });",
    ].join("\n");
    const text = `import { createHash } from "node:crypto";\n${scriptOf(body, '{ settings: { networks: ["a"], from: "b" } }')}`;
    const outcome = await look(text);
    expect(outcome).toMatchObject({ host: expect.anything() });
    expect(outcome).not.toHaveProperty("notes");
  });

  test("finds the line of what Node itself does not place", async () => {
    expect(await look(`const a = 1;\nconst a = 2;\n${simple}`)).toMatchObject({
      fault: { message: expect.stringContaining("Cannot redeclare block-scoped variable 'a'"), line: 1, column: 7 },
    });
  });

  test("says of JavaScript that its types were not looked at", async () => {
    expect(await look(simple, "gate.mjs")).toMatchObject({
      host: expect.anything(),
      notes: ["types were not checked: gate.mjs is JavaScript"],
    });
  });

  test("reads none of the server's files on behalf of a script", async () => {
    const outcome = await look(`/// <reference path="/etc/passwd" />\nimport secret from "/etc/hostname";\n${simple}`);
    expect(JSON.stringify(outcome)).not.toContain("root:");
    expect("fault" in outcome && outcome.fault.line).not.toBeNull();
  });
});
