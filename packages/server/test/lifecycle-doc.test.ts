import { readdir, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { endReasons } from "../src/core/connection.ts";
import { errorTable, isErrorCode } from "../src/core/errors.ts";

const page = await readFile(resolve(import.meta.dirname, "../../../docs/lifecycle.md"), "utf8");
const drawing = page.slice(0, page.indexOf("## Stages"));
// An exit stands behind an arrow, and goes on in the next line.
const exits = drawing.split("\n").flatMap((line) => line.match(/▶ (.*)|^ +│ │ (.*)/g) ?? []);
const drawn = exits.flatMap((exit) => exit.match(/[a-z]+(?:-[a-z]+)+/g) ?? []);
const quoted = (drawing.match(/`[a-z]+(?:-[a-z]+)*`/g) ?? []).map((code) => code.slice(1, -1));

test("docs/lifecycle.md draws every code that can refuse a connection, and no code that is none", () => {
  const refusing = Object.entries(errorTable).filter(([, { clientReason }]) => clientReason !== null);
  const named = new Set([...drawn, ...quoted]);
  expect(refusing.map(([code]) => code).filter((code) => !named.has(code))).toEqual([]);
  expect([...named].filter((code) => !isErrorCode(code))).toEqual([]);
});

test("docs/lifecycle.md names every step of the pipeline by its file", async () => {
  const steps = await readdir(resolve(import.meta.dirname, "../src/auth/steps"));
  const named = page.match(/auth\/steps\/[a-z-]+\.ts/g) ?? [];
  expect(named.map((path) => path.replace("auth/steps/", "")).sort()).toEqual(steps.sort());
});

test("docs/lifecycle.md explains every reason for an end", () => {
  for (const reason of endReasons) expect(page).toContain(`| \`${reason}\` |`);
});
