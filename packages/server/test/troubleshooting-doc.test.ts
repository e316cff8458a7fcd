import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { errorTable, isErrorCode } from "../src/core/errors.ts";

const docs = resolve(import.meta.dirname, "../../../docs");
const read = (name: string) => readFile(resolve(docs, name), "utf8");

test("each cause of the troubleshooting page says what the table of errors says of it", async () => {
  const sections = (await read("troubleshooting.md")).split(/^### /m).slice(1);
  expect(sections.length).toBeGreaterThanOrEqual(9);
  for (const section of sections) {
    const code = section.match(/^`(.+)`/)?.[1] ?? section;
    const kind = section.match(/^- Kind: (.*)$/m)?.[1];
    const next = section.match(/^- Next: (.*)$/m)?.[1];
    expect(isErrorCode(code), code).toBe(true);
    if (isErrorCode(code))
      expect({ code, kind, next }).toEqual({ code, kind: errorTable[code].kind, next: errorTable[code].next });
  }
});

test.each(["troubleshooting.md", "migrating.md"])("%s links to pages that are there", async (page) => {
  const links = [...(await read(page)).matchAll(/\]\(([\w-]+\.md)/g)].map(([, name = ""]) => name);
  expect(links.length).toBeGreaterThan(1);
  for (const name of links) expect(await read(name), name).not.toBe("");
});
