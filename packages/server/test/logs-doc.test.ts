import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const page = await readFile(resolve(import.meta.dirname, "../../../docs/logs.md"), "utf8");
const source = resolve(import.meta.dirname, "../src");
/** The stages that a connection's life passes through. */
const stages = ["lifecycle.ts", "connections/connections.ts", "hooks/veto.ts", "hooks/deliveries.ts"];
const texts = (await Promise.all(stages.map((stage) => readFile(join(source, stage), "utf8")))).join("\n");

const described = page.split("\n").flatMap((line) => {
  const [, lines = ""] = /^\| (`.*?`) \| .* \| .* \|$/.exec(line) ?? [];
  return [...lines.matchAll(/`([^`]+)`/g)].map(([, message = ""]) => message);
});
const examples = [...page.matchAll(/"msg":"([^"]+)"/g)].map(([, message = ""]) => message);

test("docs/logs.md names lines that the stages of a connection write", () => {
  expect(described.length).toBeGreaterThan(6);
  expect(examples.length).toBeGreaterThan(3);
  for (const message of [...described, ...examples]) expect(texts).toContain(`"${message}"`);
});

test("its examples are lines of JSON that name each other", () => {
  const lines = page.split("\n").filter((line) => line.startsWith('{"level"'));
  const ids = lines.map((line) => JSON.parse(line) as Record<string, string>);
  expect(new Set(ids.map(({ attempt }) => attempt)).size).toBe(1);
  expect(ids.slice(1).every(({ connection }) => connection === ids[1]?.connection)).toBe(true);
});
