import { afterEach, beforeEach, describe, expect, test } from "vitest";
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

const says = (word: string) => scriptOf(`print(${JSON.stringify(word)})`);
const add = (name: string, text: string | Uint8Array, cases?: string) =>
  versions.add({ name, text, by: "root", ...(cases !== undefined && { cases }) });
const printed = async () => (await under.gate.decide(inputOf())).printed;

describe("adding", () => {
  test("stores versions that count up, and makes none of them live", async () => {
    expect(await add("gate", says("1"))).toMatchObject({
      id: "gate@1",
      script: "gate",
      version: 1,
      active: false,
      hasCases: false,
    });
    expect(await add("gate", Buffer.from(says("2")), "- authcred: { username: alice }")).toMatchObject({
      id: "gate@2",
      version: 2,
      hasCases: true,
    });
    expect(await versions.list()).toEqual([{ id: "gate", activeVersion: null, latestVersion: 2, position: 0 }]);
    expect((await versions.versions("gate")).map(({ id, active }) => [id, active])).toEqual([
      ["gate@1", false],
      ["gate@2", false],
    ]);
    expect((await versions.text("gate", 1)).text).toBe(says("1"));
    expect((await under.gate.terms()).loaded).toBe(false);
  });

  test.each<[string, string | Uint8Array, string | RegExp]>([
    ["does not parse", "x = (\n", /the script gate: line 1, column \d+: SyntaxError/],
    ["holds a NUL", "x = 1\ny = '\0'\n", "the script gate holds a NUL byte in line 2; is it a text file?"],
    ["is no UTF-8", Buffer.from("# ok\n# Zo\xeb\n", "latin1"), /the script gate is not UTF-8 \(line 2\); convert it/],
    ["is no Unicode", "x = '\ud800'\n", /the script gate is not valid Unicode/],
    ["is 10 MB long", `# ${"x".repeat(10_000_000)}\n`, /the script gate is 10000003 bytes long; at most 1048576/],
    ["is empty", " \n", "the script gate is empty"],
  ])("refuses a script that %s", async (_what, text, message) => {
    await expect(add("gate", text)).rejects.toThrow(message);
    await expect(add("gate", text)).rejects.toMatchObject({ code: "script-invalid" });
    expect(await versions.list()).toEqual([]);
  });

  test("takes a byte-order mark away", async () => {
    await add("gate", Buffer.from(`\ufeff${says("1")}`));
    expect((await versions.text("gate")).text).toBe(says("1"));
  });

  test.each(["", "a/b", "../x", "a b", ".hidden", "x".repeat(65), "a\nb"])("refuses the name %j", async (name) => {
    await expect(add(name, says("1"))).rejects.toMatchObject({ code: "invalid-input" });
  });

  test("refuses cases that cannot be read", async () => {
    await expect(add("gate", says("1"), "- expects: {}")).rejects.toThrow(
      'cases, line 1: "expects" is not known in a case',
    );
    expect(await versions.list()).toEqual([]);
  });

  test("refuses a language that nothing here runs", async () => {
    await expect(versions.add({ name: "gate", text: "x", language: "typescript", by: "root" })).rejects.toMatchObject({
      code: "script-invalid",
    });
  });
});

test("checking tells the facts or the fault, and stores nothing", async () => {
  expect(await versions.check({ name: "gate.py", text: scriptOf("", "AUTH_NULL = True") })).toMatchObject({
    facts: { authNull: true },
  });
  expect(await versions.check({ name: "gate.py", text: "print 'x'\n" })).toMatchObject({
    fault: { line: 1, message: expect.stringContaining("2to3") },
  });
  expect(await versions.check({ name: "gate.py", text: "\0" })).toMatchObject({
    fault: { message: expect.stringContaining("NUL") },
  });
  expect(await versions.list()).toEqual([]);
});

describe("activating", () => {
  test("makes the latest version live, or the one named", async () => {
    await add("gate", says("1"));
    await add("gate", says("2"));
    expect(await versions.activate({ name: "gate" })).toMatchObject({ id: "gate@2", active: true });
    expect(await printed()).toBe("2\n");
    await versions.activate({ name: "gate", version: 1 });
    expect(await printed()).toBe("1\n");
    await versions.deactivate("gate");
    expect(await printed()).toBe("");
  });

  const cases = (status: number) => `- { name: nobody, authcred: { username: eve }, expect: { status: ${status} } }`;

  test("asks the stored cases first, unless forced", async () => {
    await add("gate", says("1"), cases(0));
    await versions.activate({ name: "gate" });
    await add("gate", says("2"), cases(1));
    const refused = versions.activate({ name: "gate" });
    await expect(refused).rejects.toThrow('version 2 of gate was not activated: 1 of 1 cases failed: "nobody"');
    await expect(refused).rejects.toMatchObject({ code: "cases-failed" });
    expect(await printed()).toBe("1\n");
    await versions.activate({ name: "gate", force: true });
    expect(await printed()).toBe("2\n");
  });

  test("refuses what is not there", async () => {
    await expect(versions.activate({ name: "gate" })).rejects.toThrow('there is no post-auth script "gate"');
    await add("gate", says("1"));
    await expect(versions.activate({ name: "gate", version: 2 })).rejects.toMatchObject({ code: "not-found" });
  });

  test("refuses a stored version that cannot be loaded any more, forced or not", async () => {
    const rest = { language: "python", sha256: "", cases: null, createdAt: "", createdBy: "" } as const;
    await under.store.addVersion({ script: "gate", text: "import no_such_module", ...rest });
    await expect(versions.activate({ name: "gate", force: true })).rejects.toMatchObject({ code: "script-invalid" });
  });
});

test("rolling back makes the version before live again, whatever its cases say", async () => {
  await add("gate", says("1"), "- { authcred: { username: eve }, expect: { status: 1 } }");
  await add("gate", says("2"));
  await versions.activate({ name: "gate", version: 1, force: true });
  await expect(versions.rollback("gate")).rejects.toMatchObject({ code: "conflict" });
  await versions.activate({ name: "gate" });
  expect(await versions.rollback("gate")).toMatchObject({ id: "gate@1" });
  expect(await printed()).toBe("1\n");
});

test("scripts run in the order set, and a removed one runs no more", async () => {
  for (const name of ["a", "b", "c"]) {
    await add(name, says(name));
    await versions.activate({ name });
  }
  expect(await printed()).toBe("[a]\na\n[b]\nb\n[c]\nc\n");
  expect((await versions.order(["c"])).map(({ id }) => id)).toEqual(["c", "a", "b"]);
  expect(await printed()).toBe("[c]\nc\n[a]\na\n[b]\nb\n");
  await expect(versions.order(["c", "c"])).rejects.toMatchObject({ code: "invalid-input" });
  await expect(versions.order(["d"])).rejects.toMatchObject({ code: "not-found" });
  await versions.remove("c");
  expect(await printed()).toBe("[a]\na\n[b]\nb\n");
  await expect(versions.remove("c")).rejects.toMatchObject({ code: "not-found" });
});

test("a stored version is tested with its own cases or with others, live or not", async () => {
  await add("gate", says("1"), "- { name: own, authcred: { username: eve }, expect: { status: 0 } }");
  expect(await versions.test({ name: "gate" })).toMatchObject([{ name: "own", passed: true }]);
  const others = "- { name: other, authcred: { username: eve }, expect: { status: 1 } }";
  expect(await versions.test({ name: "gate", cases: others })).toMatchObject([{ name: "other", passed: false }]);
  await add("bare", says("1"));
  await expect(versions.test({ name: "bare" })).rejects.toThrow("was stored without cases");
});
