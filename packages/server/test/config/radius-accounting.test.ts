import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { configFile, configOf, faultTexts, least } from "./reading.ts";

const hook = (keys: string, more = "") => `${least}hooks: [{ name: a, radiusAccounting: { ${keys} }${more} }]\n`;

it("names its servers in the order they are asked, each with its secret", async () => {
  const failover = "failover: [{ server: 192.0.2.6, port: 1646, secret: two }]";
  const text = hook(`server: radius.example.org, secretFile: radius.key, ${failover}`, ", deadlineMs: 3000");
  const { file, directory } = await configFile(text);
  await writeFile(join(directory, "radius.key"), "one\n", { mode: 0o600 });
  const [found] = (await loadConfig({ file, environment: {} })).hooks;
  expect(found).toMatchObject({ kind: "radiusAccounting", veto: false, deadlineMs: 3_000, interimMs: 600_000 });
  const servers = found?.kind === "radiusAccounting" ? found.servers : [];
  expect(servers.map(({ host, port, secret }) => [host, port, secret.reveal()])).toEqual([
    ["radius.example.org", 1813, "one"],
    ["192.0.2.6", 1646, "two"],
  ]);
  expect(JSON.stringify(found)).not.toMatch(/one|two/);
});

it.each([
  [hook("server: 192.0.2.5"), "hooks[0].radiusAccounting: expected one of secret and secretFile, found neither"],
  [hook("server: 192.0.2.5, secret: x, secretFile: y"), "expected one of secret and secretFile, found both"],
  [hook("server: 192.0.2.5, secret: x, interimSeconds: 5"), "expected a whole number from 60 to 86400, found 5"],
  [hook("server: 192.0.2.5, secret: x", ", veto: true"), "veto"],
  [hook("server: 192.0.2.5, secret: x, failover: [{ secret: y }]"), "hooks[0].radiusAccounting.failover[0].server"],
])("refuses %j", async (text, fault) => {
  expect(await faultTexts(text)).toEqual([expect.stringContaining(fault)]);
});

it("takes a day at most between updates", async () => {
  const [found] = (await configOf(hook("server: 192.0.2.5, secret: x, interimSeconds: 86400"))).hooks;
  expect(found).toMatchObject({ interimMs: 86_400_000 });
});
