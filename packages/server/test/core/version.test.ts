import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { version } from "../../src/core/version.ts";

test("the version that is told is the package's", async () => {
  const text = await readFile(resolve(import.meta.dirname, "../../package.json"), "utf8");
  expect(JSON.parse(text)).toMatchObject({ version });
});
