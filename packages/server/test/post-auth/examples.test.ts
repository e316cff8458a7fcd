import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readCases } from "../../src/post-auth/cases/case-file.ts";
import { runCases } from "../../src/post-auth/cases/run-cases.ts";
import type { ScriptHost } from "../../src/runner/runner.ts";
import { type PythonScripts, pythonScripts } from "../runner/python/python-scripts.ts";
import { callOf } from "../runner/script-calls.ts";
import { type TypeScriptScripts, typeScriptScripts } from "../runner/typescript/typescript-scripts.ts";

const checkout = join(import.meta.dirname, "../../../..");
const directory = join(checkout, "examples/post-auth");
const read = (path: string) => readFile(path, "utf8");
const files = await readdir(directory);
const scriptFiles = files.filter((file) => /\.(py|ts)$/.test(file));

let scripts: PythonScripts;
let typeScripts: TypeScriptScripts;
beforeAll(async () => {
  scripts = await pythonScripts({ workersPerScript: 1 });
  typeScripts = await typeScriptScripts();
});
afterAll(async () => {
  await scripts[Symbol.asyncDispose]();
  await typeScripts[Symbol.asyncDispose]();
});

const load = (file: string, text: string, settings?: Record<string, unknown>): Promise<ScriptHost> =>
  file.endsWith(".ts") ? typeScripts.host({ text, ...(settings && { settings }) }) : scripts.host({ text });

test("there are examples, each with cases", () => {
  expect(scriptFiles.length).toBeGreaterThan(5);
  expect(files.length).toBe(2 * scriptFiles.length);
});

test.each(scriptFiles)("the example %s does what its cases say", async (file) => {
  const text = await read(join(directory, file));
  const host = await load(file, text);
  const hostWith = (settings: Record<string, unknown>) => load(file, text, settings);
  const cases = readCases(await read(join(directory, file.replace(/\.(py|ts)$/, ".cases.yaml"))));
  const results = await runCases({ host, hostWith, cases, deadlineMs: 20_000 });
  expect(results.map(({ name, differences }) => [name, differences])).toEqual(results.map(({ name }) => [name, []]));
  for (const { name, passed, error } of results) {
    const expected = cases.find((one) => one.name === name)?.expect?.error;
    expect({ passed, error }).toEqual({ passed: true, error: expected ? expect.stringContaining(expected) : null });
  }
  // Cases that admit everybody, or nobody, would prove little.
  expect(new Set(results.map(({ status }) => status))).toEqual(new Set([0, 1]));
});

test.each(scriptFiles.filter((file) => file.endsWith(".ts")))("the example %s has no type errors", async (file) => {
  const outcome = await typeScripts.load({ name: file, text: await read(join(directory, file)), thorough: true });
  expect(outcome).not.toHaveProperty("fault");
  expect(outcome).not.toHaveProperty("notes");
});

test("the example inventory.ts believes what the inventory says", async () => {
  const server = createServer((request, response) => {
    const known = request.url === "/devices/00%3A01";
    response.statusCode = known ? 200 : 404;
    response.end(known ? '{ "owner": "alice", "group": "laptops" }' : "");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/devices/`;
  const host = await load("inventory.ts", await read(join(directory, "inventory.ts")), { url });
  const ask = (username: string, client_hw_addr: string) =>
    host.call(callOf({ authcred: { username, client_hw_addr }, authret: { user: username } }));
  const answers = await Promise.all([ask("alice", "00:01"), ask("bob", "00:01"), ask("alice", "00:02")]);
  server.closeAllConnections();
  server.close();
  expect(answers).toMatchObject([
    { value: { status: 0, proplist: { conn_group: "laptops" } } },
    { value: { status: 1, reason: "00:01 belongs to alice, not to bob" } },
    { value: { status: 1, reason: "00:02 belongs to nobody, not to alice" } },
  ]);
});

describe("docs/post-auth.md", async () => {
  const page = await read(join(checkout, "docs/post-auth.md"));
  const blocks = (language: string) =>
    [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, text = ""]) => text);

  test("names every example", () => {
    for (const file of scriptFiles) expect(page).toContain(`examples/post-auth/${file}`);
  });

  test("shows scripts that can be loaded, and cases that can be read and pass", async () => {
    const [python, yaml] = [blocks("python"), blocks("yaml")];
    expect(python.length).toBeGreaterThan(1);
    expect(yaml.length).toBe(1);
    for (const text of python) await scripts.host({ text });
    expect(blocks("ts").length).toBeGreaterThan(1);
    for (const text of blocks("ts")) {
      const outcome = await typeScripts.load({ name: "page.ts", text, thorough: true });
      expect("fault" in outcome && outcome.fault).toBe(false);
    }
    const host = await scripts.host({ text: python[0] ?? "" });
    const results = await runCases({ host, cases: readCases(yaml[0] ?? ""), deadlineMs: 20_000 });
    expect(results.map(({ differences, passed }) => [passed, differences])).toEqual(results.map(() => [true, []]));
  });
});
