import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readConfig } from "../../src/config/load.ts";
import { rangeHolds } from "../../src/core/address-range.ts";
import { configFile, configOf, faultTexts, least } from "./reading.ts";

test("the figures are told to this machine alone, unless the configuration says otherwise", async () => {
  const { allow, token } = (await configOf(least)).http.metrics;
  const may = (address: string) => allow.some((range) => rangeHolds(range, address));
  expect(["127.0.0.1", "::1", "192.0.2.7", "10.0.0.1", "fd00::1"].map(may)).toEqual([true, true, false, false, false]);
  expect(token).toBeNull();
});

test("an address stands for itself, beside ranges; an empty list lets in nobody", async () => {
  const { http } = await configOf(`${least}http: { metrics: { allow: [10.0.0.20, "fd00::/8"] } }\n`);
  expect(http.metrics.allow.map(({ cidr }) => cidr)).toEqual(["10.0.0.20/32", "fd00::/8"]);
  expect((await configOf(`${least}http: { metrics: { allow: [] } }\n`)).http.metrics.allow).toEqual([]);
  expect((await faultTexts(`${least}http: { metrics: { allow: [here] } }\n`)).join()).toContain("10.0.0.0/8");
});

test("a token comes from a file, which must be there", async () => {
  const text = `${least}http: { metrics: { tokenFile: metrics.token } }\n`;
  expect((await faultTexts(text)).join()).toContain("http.metrics.tokenFile");
  const { file, directory } = await configFile(text);
  await writeFile(join(directory, "metrics.token"), "s3cret\n");
  await chmod(join(directory, "metrics.token"), 0o600);
  const read = await readConfig({ file, environment: {} });
  if ("faults" in read) throw new Error("no fault was expected");
  expect(read.config.http.metrics.token?.reveal()).toBe("s3cret");
});
