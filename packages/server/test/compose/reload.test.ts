import { expect, test } from "vitest";
import { refuseWhatNeedsRestart } from "../../src/compose/reload.ts";
import { configOf, least } from "../config/reading.ts";

const reloaded = async (before: string, after: string) =>
  refuseWhatNeedsRestart(await configOf(`${least}${before}`), await configOf(`${least}${after}`));

test("who may read the figures is taken up by a reload", async () => {
  await reloaded("", "http: { metrics: { allow: [10.0.0.20] } }\n");
});

test.each([
  ['http: { listen: "127.0.0.1:9443" }', "http.listen"],
  ['http: { publicUrl: "https://other.example.org" }', "http.publicUrl"],
  ['geoIp: { database: "/var/lib/GeoIP/other.mmdb" }', "geoIp"],
  ["scripts: { workers: 7 }", "scripts.workers"],
])("what needs a restart is refused by name: %s", async (changed, named) => {
  const refused = expect.objectContaining({ code: "config-invalid", message: expect.stringContaining(named) });
  await expect(reloaded("", `${changed}\n`)).rejects.toEqual(refused);
});
