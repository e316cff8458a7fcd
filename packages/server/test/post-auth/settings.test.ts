import { afterEach, beforeEach, expect, test } from "vitest";
import { createScriptVersions, type ScriptVersions } from "../../src/post-auth/versions.ts";
import { type Bench, bench, inputOf, scriptOf } from "./scripts-under-test.ts";

let under: Bench;
let versions: ScriptVersions;
beforeEach(async () => {
  under = await bench();
  const { store, settings, loaders, gate } = under;
  const applied = gate.reload;
  versions = createScriptVersions({ scripts: store, settings, loaders, deadlineMs: () => 20_000, applied });
});
afterEach(() => under[Symbol.asyncDispose]());

const greeter = (more = "") =>
  [
    'import { definePostAuth, deny } from "@sallyport/sdk";',
    `const options = { settings: { greeting: "hello", loud: false, names: {} as Record<string, string> }${more} };`,
    "export default definePostAuth(options, ({ user }, { settings: { greeting, loud, names } }) => {",
    "  console.log(process.pid);",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the script's own template
    "  return deny(`${greeting}${loud ? '!' : ''} ${names[user] ?? user}`);",
    "});",
  ].join("\n");

async function live(text = greeter()): Promise<void> {
  await versions.add({ name: "gate", text, language: "typescript", by: "root" });
  await versions.activate({ name: "gate" });
}

const reason = async () => (await under.gate.decide(inputOf())).reason;
const configure = (settings: object | undefined) =>
  versions.configure({ name: "gate", settings: settings && JSON.stringify(settings) });

test("what an administrator set is in force at once, over the script's defaults, until it is taken back", async () => {
  await live();
  expect(await reason()).toBe("hello alice");
  expect(await configure({ greeting: "moin", names: { alice: "Alice A." } })).toEqual({
    id: "gate",
    defaults: { greeting: "hello", loud: false, names: {} },
    set: { greeting: "moin", names: { alice: "Alice A." } },
    inForce: { greeting: "moin", loud: false, names: { alice: "Alice A." } },
  });
  expect(await reason()).toBe("moin Alice A.");
  expect(await under.settings.list()).toEqual({
    "post_auth.gate.settings": '{"greeting":"moin","names":{"alice":"Alice A."}}',
  });
  expect(await configure({ loud: true })).toMatchObject({ inForce: { greeting: "hello", loud: true } });
  expect(await reason()).toBe("hello! alice");
  expect(await configure(undefined)).toMatchObject({ set: {} });
  expect(await reason()).toBe("hello alice");
  expect(await under.settings.list()).toEqual({});
});

test("other settings mean other processes, the same ones the same", async () => {
  await live();
  const pid = async () => (await under.gate.decide(inputOf())).printed;
  const first = await pid();
  await under.gate.reload();
  expect(await pid()).toBe(first);
  await configure({ loud: true });
  expect(await pid()).not.toBe(first);
});

test.each([
  ['{"greting": "x"}', /there is no setting "greting"; there are greeting, loud, names/],
  ['{"loud": "yes"}', /the setting loud is a string; it must be true or false/],
  ["{", /settings must be a JSON object/],
  ["[1]", /settings must be a JSON object/],
])("what the script does not accept is refused, and what was set stays: %s", async (settings, message) => {
  await live();
  await configure({ greeting: "moin" });
  await expect(versions.configure({ name: "gate", settings })).rejects.toThrow(message);
  expect(await reason()).toBe("moin alice");
});

test("a version that does not accept what is set is not made live", async () => {
  await live();
  await configure({ greeting: "moin" });
  const stricter = greeter(
    ', checkSettings({ greeting }: { greeting: string }) { if (greeting !== "hello") throw new Error("only hello"); }',
  );
  await expect(live(stricter)).rejects.toThrow(/its settings are not right: only hello/);
  expect(await reason()).toBe("moin alice");
});

test("settings that were spoilt where they are kept deny everybody, and say so", async () => {
  await live();
  await under.settings.set("post_auth.gate.settings", "{");
  await under.gate.reload();
  expect(await under.gate.decide(inputOf())).toMatchObject({
    outcome: "deny",
    code: "script-not-loaded",
    reason: expect.stringContaining("settings must be a JSON object"),
  });
});

test("a Python script has none, and is told so", async () => {
  await under.live("gate", scriptOf(""));
  expect(await versions.settings("gate")).toEqual({ id: "gate", defaults: {}, set: {}, inForce: {} });
  await expect(configure({ a: 1 })).rejects.toThrow(/gate has no settings/);
});

test("removing a script forgets its settings", async () => {
  await live();
  await configure({ greeting: "moin" });
  await versions.remove("gate");
  expect(await under.settings.list()).toEqual({});
});

test("a case may have settings of its own; the others have those that are set", async () => {
  const cases = [
    "- { authcred: { username: alice }, expect: { reason: moin alice } }",
    "- authcred: { username: alice }",
    "  settings: { greeting: hi, loud: true, names: { alice: A } }",
    "  expect: { reason: hi! A }",
    "- { authcred: { username: bob }, settings: { loud: true }, expect: { reason: hello! bob } }",
  ].join("\n");
  await versions.add({ name: "gate", text: greeter(), language: "typescript", cases, by: "root" });
  await expect(versions.activate({ name: "gate" })).rejects.toThrow(/1 of 3 cases failed/);
  await configure({ greeting: "moin" });
  expect((await versions.test({ name: "gate" })).map(({ passed }) => passed)).toEqual([true, true, true]);
  await versions.activate({ name: "gate" });
});

test("adding looks for type errors, and so does checking, which tells of all of them", async () => {
  const text = "import { definePostAuth } from '@sallyport/sdk';\nexport default definePostAuth(() => oops + oops2);\n";
  await expect(versions.add({ name: "gate", text, language: "typescript", by: "root" })).rejects.toThrow(
    /line 2, column 37: TS2304: Cannot find name 'oops'/,
  );
  expect(await versions.check({ name: "gate", text, language: "typescript" })).toMatchObject({
    fault: { message: expect.stringContaining("Cannot find name 'oops'"), line: 2, column: 37 },
    more: [{ message: expect.stringContaining("Cannot find name 'oops2'"), line: 2, column: 44 }],
  });
  const javaScript = greeter().replace(" as Record<string, string>", "");
  expect(await versions.check({ name: "gate.mjs", text: javaScript, language: "typescript" })).toMatchObject({
    facts: { settings: { greeting: "hello" } },
    notes: ["types were not checked: gate.mjs is JavaScript"],
  });
});
