import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ScriptHost } from "../../../src/runner/runner.ts";
import { callOf, returned } from "../script-calls.ts";
import { scriptOf, type TypeScriptScripts, typeScriptScripts } from "./typescript-scripts.ts";

let scripts: TypeScriptScripts;
beforeAll(async () => {
  scripts = await typeScriptScripts();
});
afterAll(() => scripts[Symbol.asyncDispose]());

const script = (body: string, options?: string): Promise<ScriptHost> => scripts.host({ text: scriptOf(body, options) });

describe("an exception", () => {
  test("comes with its message and a traceback of the script's own lines", async () => {
    const text = [
      'import { definePostAuth, type PostAuthRequest } from "@sallyport/sdk";',
      "function check({ user }: PostAuthRequest): never {",
      "  throw new RangeError('no room for ' + user);",
      "}",
      "export default definePostAuth((request) => {",
      "  check(request);",
      "});",
    ].join("\n");
    const result = await (await scripts.host({ text })).call(callOf());
    expect(result).toMatchObject({ outcome: "raised", message: "no room for alice" });
    const { traceback } = result as { traceback: string };
    const expected = ["RangeError: no room for alice", "    at check (script:3:9)"];
    expect(traceback.split("\n")).toEqual([...expected, expect.stringMatching(/^ {4}at .*script:6:3\)?$/)]);
  });

  test("names the script as it is called, whatever is in its name", async () => {
    const outcome = await scripts.load({ name: "office hours:2 (ü).ts", text: scriptOf("throw new Error('x');") });
    const result = "host" in outcome && (await outcome.host.call(callOf()));
    expect(result && result.outcome === "raised" && result.traceback).toContain("office hours:2 (ü).ts:3:7");
  });

  test.each([
    ["null.x", "Cannot read properties of null (reading 'x')"],
    ["throw 'plain text'", "plain text"],
    ["throw { code: 5 }", "{ code: 5 }"],
    ["throw undefined", "undefined"],
    ["throw new (class Special extends Error {})()", "Error"],
    ["throw new Error('')", "Error"],
    ["throw new Error('outer', { cause: new Error('inner') })", "outer: inner"],
    ["throw { get message() { throw 1; }, [Symbol.toPrimitive]() { throw 2; } }", "{"],
    [
      "const e = new Error('x'); Object.defineProperty(e, 'message', { get() { throw 1; } }); throw e",
      "cannot be shown",
    ],
    ["process.exit(0)", "the script called process.exit(0)"],
    ["await ctx.ldap!.search({ filter: '(a=b)' })", "Cannot read properties of undefined (reading 'search')"],
  ])("is named even if it says little: %s", async (body, message) => {
    const result = await (await script(`${body};`)).call(callOf());
    expect(result.outcome === "raised" && result.message).toContain(message);
  });

  test("of any length is kept in part", async () => {
    const result = await (await script("throw new Error('x'.repeat(10_000_000));")).call(callOf());
    expect(result.outcome === "raised" && result.message.length).toBeLessThan(3_000);
    expect(result.outcome === "raised" && result.traceback.length).toBeLessThan(20_000);
  });
});

describe("what a script prints", () => {
  test("belongs to the call, whichever way it is printed", async () => {
    const host = await script(
      "ctx.log('one %s', 'ü', { a: [1] });\nconsole.error('two');\nprocess.stdout.write(Buffer.from('three\\n'));\n" +
        "await new Promise((resolve) => process.stderr.write('four\\n', resolve));\n" +
        "await new Promise((resolve) => setTimeout(resolve, 1));\nconsole.log('five');\nconst { log } = ctx;\nlog('six');\n" +
        "process.stdout.write('seven');\nreturn allow();",
    );
    expect(returned(await host.call(callOf())).printed).toBe("one ü { a: [ 1 ] }\ntwo\nthree\nfour\nfive\nsix\nseven");
  });

  test("does not mix with what other calls print at the same time", async () => {
    const host = await script(
      "for (let i = 0; i < 20; i++) {\n  console.log(request.signedInAs, i);\n" +
        "  await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));\n}\nreturn allow();",
    );
    const names = Array.from({ length: 20 }, (_, i) => `user${i}`);
    const results = await Promise.all(names.map((username) => host.call(callOf({ authcred: { username } }))));
    for (const [i, { printed }] of results.entries()) {
      expect(printed).toBe(Array.from({ length: 20 }, (_, line) => `${names[i]} ${line}\n`).join(""));
    }
  });

  test("is known also where the call fails, dies or never ends", async () => {
    const fails = await script("ctx.log('before');\nthrow new Error();");
    expect(await fails.call(callOf())).toMatchObject({ outcome: "raised", printed: "before\n" });
    const dies = await script("ctx.log('before');\nprocess.abort();");
    expect(await dies.call(callOf())).toMatchObject({ outcome: "died", printed: "before\n" });
    const hangs = await script("ctx.log('before');\nfor (;;);");
    expect(await hangs.call(callOf({ deadlineMs: 2_000 }))).toMatchObject({
      outcome: "timed-out",
      printed: "before\n",
    });
  });

  test("is kept up to a bound", async () => {
    const host = await script("console.log('x'.repeat(10_000_000));\nconsole.log('y');\nreturn allow();");
    const { printed } = returned(await host.call(callOf()));
    expect(printed.length).toBeLessThan(70_000);
    expect(printed.slice(-60)).toMatch(/x\n\[9934467 more characters were printed\]$/);
  });

  test("outside of calls goes to the log", async () => {
    const text = `console.log("loading");\n${scriptOf("setTimeout(() => console.log('afterwards'), 20);\nreturn allow();")}`;
    const host = await scripts.host({ text });
    expect(returned(await host.call(callOf())).printed).toBe("");
    await expect.poll(scripts.logged, { timeout: 30_000 }).toContain("loading");
    await expect.poll(scripts.logged, { timeout: 30_000 }).toContain("afterwards");
  });
});
