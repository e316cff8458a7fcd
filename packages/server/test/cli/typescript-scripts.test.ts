import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestDaemon, type TestDaemon } from "./test-daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await startTestDaemon();
});
afterAll(async () => await daemon.close());

const gate = `import { allow, definePostAuth, deny } from "@sallyport/sdk";

export default definePostAuth({ settings: { refuse: "mallory" } }, ({ user }, ctx) =>
  user === ctx.settings.refuse ? deny("not " + user) : allow({ group: "eng" }),
);
`;
const cases = `
- { authcred: { username: alice }, expect: { status: 0, proplist: { conn_group: eng } } }
- { authcred: { username: mallory }, expect: { status: 1, reason: not mallory } }
- { authcred: { username: alice }, settings: { refuse: alice }, expect: { status: 1 } }
`;
const nowhere = ["--config", "/nonexistent/sallyport.yaml"];

async function file(name: string, text: string): Promise<string> {
  const path = join(daemon.directory, name);
  await writeFile(path, text);
  return path;
}

test("a TypeScript file is checked and tested where no daemon runs, with the settings of its cases", async () => {
  const path = await file("gate.ts", gate);
  expect(await daemon.run(["post-auth", "check", path, ...nowhere])).toEqual({
    status: 0,
    stdout: `${path} defines definePostAuth and loads.\n`,
    stderr: "",
  });
  const tested = await daemon.json(["post-auth", "test", path, "--cases", await file("c.yaml", cases), ...nowhere]);
  expect(tested).toMatchObject([{ passed: true }, { passed: true }, { passed: true }]);
});

test("type errors are told with line and column, all of them, and keep a script from being stored", async () => {
  const path = await file("wrong.ts", gate.replace("user ===", "usr ===").replace('group: "eng"', "group: 5"));
  const { status, stderr } = await daemon.run(["post-auth", "check", path]);
  expect(status).toBe(1);
  expect(stderr).toContain(`script-invalid: ${path}, line 4, column 3: TS2552: Cannot find name 'usr'`);
  expect(stderr).toContain(`${path}, line 4, column 63: TS2322: Type 'number' is not assignable to type 'string'`);
  const json = await daemon.run(["--json", "post-auth", "check", path]);
  expect(JSON.parse(json.stdout)).toMatchObject({
    ok: false,
    facts: null,
    fault: { line: 4, column: 3 },
    more: [{ line: 4, column: 63 }],
  });
  const added = await daemon.run(["post-auth", "add", "wrong", path]);
  expect(added.stderr).toMatch(/script-invalid: .*line 4, column 3: TS2552/);
});

test("what was not looked at is said", async () => {
  const { status, stderr } = await daemon.run(["post-auth", "check", await file("gate.mjs", gate)]);
  expect(status).toBe(0);
  expect(stderr).toContain("gate.mjs: types were not checked: gate.mjs is JavaScript");
});

test("a script's settings are set like any others, and the script must accept them", async () => {
  await daemon.json(["post-auth", "add", "gate", await file("gate.ts", gate)]);
  await daemon.json(["post-auth", "activate", "gate"]);
  const key = "post_auth.gate.settings";
  const set = async (value: string) => await daemon.run(["config", "set", key, value]);
  expect((await set('{"refuse": "bob"}')).status).toBe(0);
  expect(await daemon.json(["config", "get", key])).toMatchObject({ value: '{"refuse":"bob"}' });
  expect((await set('{"refuse": 5}')).stderr).toMatch(/script-invalid: .*the setting refuse is 5; it must be a string/);
  expect((await set('{"refuse"')).stderr).toMatch(/invalid-input: .*JSON object/);
  expect((await daemon.run(["config", "set", "post_auth.nobody.settings", "{}"])).stderr).toContain("not-found");
  expect(await daemon.json(["config", "get", key])).toMatchObject({ value: '{"refuse":"bob"}' });
  const tested = await daemon.run(["--json", "post-auth", "test", "gate", "--cases", await file("d.yaml", cases)]);
  expect(JSON.parse(tested.stdout)).toMatchObject([{ passed: true }, { passed: false }, { passed: true }]);
  expect((await daemon.run(["config", "delete", key])).status).toBe(0);
  expect((await daemon.run(["config", "delete", key])).stderr).toContain("not-found");
});
