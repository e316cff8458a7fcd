import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scriptOf, type TypeScriptScripts, typeScriptScripts } from "./typescript-scripts.ts";

let scripts: TypeScriptScripts;
beforeAll(async () => {
  scripts = await typeScriptScripts();
});
afterAll(() => scripts[Symbol.asyncDispose]());

const simple = scriptOf("return allow();");

describe("a script that can be loaded", () => {
  test("tells what its options ask for", async () => {
    const options = `{
      synchronous: true,
      authNull: true,
      retainPassword: true,
      groupSelect: true,
      staticChallenge: { text: "Type the code of your token", echo: true },
      certificateFields: ["CN", "+serialNumber"],
      settings: { from: "08:00", networks: ["10.0.0.0/8"], groups: {} },
    }`;
    expect((await scripts.host({ text: scriptOf("return allow();", options) })).facts).toEqual({
      entry: "definePostAuth",
      synchronous: true,
      authNull: true,
      retainPassword: true,
      groupSelect: true,
      staticChallenge: "Type the code of your token",
      staticChallengeEcho: true,
      x509Track: ["CN", "+serialNumber"],
      settings: { from: "08:00", networks: ["10.0.0.0/8"], groups: {} },
    });
  });

  test("asks for nothing by default", async () => {
    expect((await scripts.host({ text: simple })).facts).toEqual({
      entry: "definePostAuth",
      synchronous: false,
      authNull: false,
      retainPassword: false,
      groupSelect: false,
      staticChallenge: null,
      staticChallengeEcho: false,
      x509Track: [],
      settings: {},
    });
  });

  test("shows the static challenge's answer only where it says so", async () => {
    const { facts } = await scripts.host({ text: scriptOf("return allow();", '{ staticChallenge: "PIN" }') });
    expect(facts).toMatchObject({ staticChallenge: "PIN", staticChallengeEcho: false });
  });

  test.each([
    ["with Windows line ends", simple.replaceAll("\n", "\r\n")],
    ["with a byte order mark", `\ufeff${simple}`],
    ["in plain JavaScript", simple],
    ["with types that Node has to strip", `type A = { b: string };\nconst a: A = { b: "c" } as A;\nvoid a;\n${simple}`],
    [
      "that imports Node's modules by either name",
      `import "node:crypto";\nimport { isIP } from "net";\nisIP("");\n${simple}`,
    ],
    ["that waits at its top", `await Promise.resolve();\n${simple}`],
    ["that makes its answers itself", scriptOf('return { decision: "deny", reason: "never" };')],
    ["that exports more than it must", `${simple}export const settings = 1;\n`],
  ])("may be one %s", async (_what, text) => {
    expect((await scripts.host({ text })).facts.entry).toBe("definePostAuth");
  });
});

describe("a script that cannot be loaded", () => {
  test.each([
    ["does not parse", "\nconst x = (2;\n", /SyntaxError: Expected ',', got ';'/, 2, 13],
    ["holds syntax that is more than types", "const a = 1;\n  enum B {\n C }", /enum is not supported/, 2, 3],
    ["declares a name twice", "const a = 1;\nconst a = 2;\n", /'a' has already been declared/, null, null],
    ["fails when it is run", "\nJSON.parse('nonsense');\n", /SyntaxError: Unexpected token/, 2, 6],
    [
      "fails in a function that it calls",
      "const f = () => {\n  throw new TypeError('no');\n};\nf();\n",
      /TypeError: no/,
      2,
      9,
    ],
    ["throws no error", "throw 'away';", /the script threw away/, null, null],
    [
      "needs a file beside it",
      '\nimport "./other.ts";\n',
      /"\.\/other.ts" cannot be imported: a script is one file/,
      2,
      null,
    ],
    ["needs a package", "import _ from 'lodash';\n", /"lodash" cannot be imported/, 1, null],
    ["reaches into the host", 'import "sallyport-sdk:///host/main.ts";', /cannot be imported/, 1, null],
    ["opens any file as a database", 'import "node:sqlite";', /"node:sqlite" cannot be imported/, 1, null],
    [
      "gets there another way",
      'import { createRequire } from "node:module";\ncreateRequire("file:///")("node:sqlite");',
      /"node:sqlite" cannot be imported/,
      2,
      26,
    ],
    ["imports code as data", 'await import("data:text/javascript,1");', /cannot be imported/, 1, 1],
    [
      "imports what is not there",
      '\nimport { no } from "node:crypto";\n',
      /does not provide an export named 'no'/,
      2,
      null,
    ],
    ["imports a type as a value", 'import { Answer } from "@sallyport/sdk";\n', /export named 'Answer'/, 1, null],
    [
      "exports nothing",
      "const x = 1;\n",
      /must have `export default definePostAuth\(…\)`; it exports nothing/,
      null,
      null,
    ],
    ["exports something else", "export function post_auth() {}\n", /it exports post_auth/, null, null],
    ["exports a bare function", "export default () => 1;\n", /its default export is a function/, null, null],
    [
      "calls definePostAuth with nothing",
      `\nexport default (await import("@sallyport/sdk")).definePostAuth();`,
      /takes a function, or options/,
      2,
      49,
    ],
    [
      "has an option that is none",
      scriptOf("", "{ syncronous: true }"),
      /no option "syncronous"; there are synch/,
      null,
      null,
    ],
    [
      "has an option of the wrong type",
      scriptOf("", '{ authNull: "yes" }'),
      /authNull is a string; it must be true or false/,
      null,
      null,
    ],
    ["has settings of the wrong type", scriptOf("", "{ settings: [] }"), /the option settings is a list/, null, null],
    [
      "has settings that cannot be sent",
      scriptOf("", "{ settings: { a: new Date() } }"),
      /settings.a is a Date/,
      null,
      null,
    ],
    [
      "has a static challenge of two lines",
      scriptOf("", '{ staticChallenge: "a\\nb" }'),
      /one line of text/,
      null,
      null,
    ],
    [
      "has certificate fields of the wrong form",
      scriptOf("", '{ certificateFields: "CN" }'),
      /list of attribute names/,
      null,
      null,
    ],
    ["takes code from strings", 'new Function("return 1")();', /Code generation from strings disallowed/, 1, 1],
    ["is nested too deep", `const x = ${"(".repeat(50_000)}1;`, /./, null, null],
  ])("because it %s, says so and where", async (_what, text, message, line, column) => {
    expect(await scripts.fault(text)).toEqual({ message: expect.stringMatching(message), line, column });
  });

  test("because it never finishes loading, is given up", async () => {
    await using slow = await typeScriptScripts({ loadDeadlineMs: 1_000 });
    const message = /was not loaded within 1 s/;
    expect((await slow.fault("for (;;);")).message).toMatch(message);
    expect((await slow.fault("await new Promise(() => {});")).message).toMatch(message);
  });

  test("because it ends its process, says so", async () => {
    expect((await scripts.fault("process.exit(3);")).message).toMatch(/called process.exit\(3\)/);
    expect((await scripts.fault("process.abort();")).message).toMatch(/Node was killed by SIGABRT while it loaded/);
  });

  test("because its Node is not there, says which", async () => {
    await using none = await typeScriptScripts({ node: "/nonexistent/node" });
    await expect(none.load({ name: "script", text: simple })).rejects.toThrow(/\/nonexistent\/node/);
  });
});

test("the account that scripts run as need not be able to reach Node", async () => {
  const node = join(scripts.workingDirectory, "hidden/node");
  await mkdir(dirname(node), { recursive: true, mode: 0o700 });
  await copyFile(process.execPath, node);
  await using elsewhere = await typeScriptScripts({ node });
  expect((await elsewhere.host({ text: simple })).facts.entry).toBe("definePostAuth");
});

describe("settings", () => {
  const options = `{ settings: { from: "08:00", days: ["mon"], groups: {}, most: 2, anything: null } }`;
  const text = scriptOf("return allow({ reason: JSON.stringify(ctx.settings) });", options);

  test("are the defaults, overlaid with what an administrator set", async () => {
    const host = await scripts.host({ text, settings: { from: "09:00", days: [], groups: { a: "b" }, anything: 1 } });
    const result = await host.call({
      arguments: { authcred: {}, attributes: {}, authret: { proplist: {} }, info: {} },
      deadlineMs: 10_000,
    });
    const { reason } = (result as { value: { reason: string } }).value;
    expect(JSON.parse(reason)).toEqual({ from: "09:00", days: [], groups: { a: "b" }, most: 2, anything: 1 });
  });

  test.each([
    [{ form: "09:00" }, /there is no setting "form"; there are from, days, groups, most, anything/],
    [{ from: 9 }, /the setting from is 9; it must be a string, as its default is/],
    [{ days: "mon" }, /the setting days is a string; it must be a list/],
    [{ days: ["mon", 2] }, /the setting days\[1\] is 2; it must be a string/],
    [{ groups: ["a"] }, /the setting groups is a list; it must be an object/],
    [{ most: null }, /the setting most is null; it must be a number/],
    [{ constructor: "x" }, /there is no setting "constructor"/],
  ])("of the wrong form are a fault: %j", async (settings, message) => {
    expect((await scripts.fault(text, settings)).message).toMatch(message);
  });

  test("are judged by the script too, where it wants to", async () => {
    const check = `{ settings: { pattern: "^a" }, checkSettings: ({ pattern }) => void new RegExp(pattern) }`;
    const checked = scriptOf("return allow();", check);
    expect((await scripts.host({ text: checked, settings: { pattern: "^b" } })).facts.settings).toEqual({
      pattern: "^a",
    });
    expect((await scripts.fault(checked, { pattern: "(" })).message).toMatch(
      /its settings are not right: Invalid regular/,
    );
  });
});
