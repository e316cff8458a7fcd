import { expect, test } from "vitest";
import { refuseWhatNeedsRestart } from "../../src/compose/reload.ts";
import { configOf, least } from "../config/reading.ts";

const reloaded = async (before: string, after: string) =>
  refuseWhatNeedsRestart(await configOf(`${least}${before}`), await configOf(`${least}${after}`));

test("who may read the figures is taken up by a reload", async () => {
  await reloaded("", "http: { metrics: { allow: [10.0.0.20] } }\n");
});

const profile = (id: string, listen: string, ipv4: string) =>
  `  - { id: ${id}, openvpn: { managed: { listen: [${listen}] } }, ranges: { ipv4: ${ipv4} } }\n`;
const office = (listen: string, ipv4 = "10.42.0.0/24") => `profiles:\n${profile("office", listen, ipv4)}`;
const directory = "dataDirectory: /var/lib/sallyport\n";
const profiles = async (before: string, after: string) =>
  refuseWhatNeedsRestart(await configOf(`${directory}${before}`), await configOf(`${directory}${after}`));

test.each([
  ["a profile", `${office("udp/1194")}${profile("guests", "udp/1195", "10.44.0.0/24")}`],
  ["a listener", office("tcp/443, udp/1194")],
])("%s that is new needs no restart", async (_what, after) => {
  await profiles(office("udp/1194"), after);
});

test.each([
  ["profile office (removed)", `profiles:\n${profile("other", "udp/1195", "10.44.0.0/24")}`],
  ["profile office: udp/1194 (removed)", office("tcp/443")],
  ["profile office: ranges", office("udp/1194", "10.50.0.0/24")],
])("what ends connections needs one: %s", async (named, after) => {
  const refused = expect.objectContaining({ code: "config-invalid", message: expect.stringContaining(named) });
  await expect(profiles(office("udp/1194"), after)).rejects.toEqual(refused);
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
