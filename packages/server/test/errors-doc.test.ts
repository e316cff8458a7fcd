import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { errorTable } from "../src/core/error-table.ts";

const page = await readFile(resolve(import.meta.dirname, "../../../docs/errors.md"), "utf8");

function entryOf(section: string) {
  const line = (name: string) => section.match(new RegExp(`^- ${name}: (.*)$`, "m"))?.[1] ?? `no ${name}`;
  const clientReason = line("The person reads");
  return {
    kind: line("Kind"),
    httpStatus: Number(line("HTTP status")),
    meaning: section.split("\n")[2],
    next: line("Next"),
    clientReason: clientReason === "nothing" ? null : clientReason,
  };
}

const documented = page
  .split(/^### /m)
  .slice(1)
  .map((section) => [section.match(/^`(.+)`/)?.[1] ?? section, entryOf(section)] as const);

test("docs/errors.md and the table of errors say the same (mend it with: node scripts/errors-doc.ts)", () => {
  expect(Object.fromEntries(documented)).toEqual(errorTable);
  expect(documented.length).toBe(Object.keys(errorTable).length);
});

test("whoever is refused by an outage never reads that the password is wrong", () => {
  for (const [code, { kind, clientReason }] of Object.entries(errorTable)) {
    if (kind === "outage" && clientReason !== null)
      expect(clientReason, code).not.toMatch(/password|wrong (user|credentials)/i);
  }
});

test("no error's text could break a line of the management protocol", () => {
  for (const [code, { clientReason }] of Object.entries(errorTable)) {
    expect(clientReason ?? "", code).toMatch(/^[\x20-\x7e]*$/);
    expect((clientReason ?? "").length, code).toBeLessThan(200);
  }
});
