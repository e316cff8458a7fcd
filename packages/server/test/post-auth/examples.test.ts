import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readCases } from "../../src/post-auth/cases/case-file.ts";
import { runCases } from "../../src/post-auth/cases/run-cases.ts";
import { type PythonScripts, pythonScripts } from "../runner/python/python-scripts.ts";

const checkout = join(import.meta.dirname, "../../../..");
const directory = join(checkout, "examples/post-auth");
const read = (path: string) => readFile(path, "utf8");
const files = await readdir(directory);
const scriptFiles = files.filter((file) => file.endsWith(".py"));

let scripts: PythonScripts;
beforeAll(async () => {
  scripts = await pythonScripts({ workersPerScript: 1 });
});
afterAll(() => scripts[Symbol.asyncDispose]());

test("there are examples, each with cases", () => {
  expect(scriptFiles.length).toBeGreaterThan(5);
  expect(files.length).toBe(2 * scriptFiles.length);
});

test.each(scriptFiles)("the example %s does what its cases say", async (file) => {
  const host = await scripts.host({ text: await read(join(directory, file)) });
  const cases = readCases(await read(join(directory, file.replace(/\.py$/, ".cases.yaml"))));
  const results = await runCases({ host, cases, deadlineMs: 20_000 });
  expect(results.map(({ name, differences }) => [name, differences])).toEqual(results.map(({ name }) => [name, []]));
  for (const { passed, error } of results) expect({ passed, error }).toEqual({ passed: true, error: null });
  // Cases that admit everybody, or nobody, would prove little.
  expect(new Set(results.map(({ status }) => status))).toEqual(new Set([0, 1]));
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
    const host = await scripts.host({ text: python[0] ?? "" });
    const results = await runCases({ host, cases: readCases(yaml[0] ?? ""), deadlineMs: 20_000 });
    expect(results.map(({ differences, passed }) => [passed, differences])).toEqual(results.map(() => [true, []]));
  });
});
