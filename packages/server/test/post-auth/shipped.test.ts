import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isOpen } from "../../../sdk/scripts/working-hours.ts";
import { readCases } from "../../src/post-auth/cases/case-file.ts";
import { runCases } from "../../src/post-auth/cases/run-cases.ts";
import { createShippedScripts, type ShippedScripts } from "../../src/post-auth/shipped.ts";
import { createScriptVersions, type ScriptVersions } from "../../src/post-auth/versions.ts";
import { type TypeScriptScripts, typeScriptScripts } from "../runner/typescript/typescript-scripts.ts";
import { type Bench, bench, inputOf } from "./scripts-under-test.ts";

const directory = join(import.meta.dirname, "../../../sdk/scripts");
const names = (await readdir(directory)).filter((file) => file.endsWith(".ts")).map((file) => file.slice(0, -3));
const read = (file: string) => readFile(join(directory, file), "utf8");

let scripts: TypeScriptScripts;
beforeAll(async () => {
  scripts = await typeScriptScripts();
});
afterAll(() => scripts[Symbol.asyncDispose]());

test("the scripts that are shipped are there", () => {
  expect(names).toEqual([
    "client-floor",
    "duo",
    "hardware-address",
    "host-check",
    "ldap-groups",
    "radius-groups",
    "saml-groups",
    "source-networks",
    "working-hours",
  ]);
});

describe.each(names)("%s", (name) => {
  test("has no type errors, and one line that says what it is for", async () => {
    const text = await read(`${name}.ts`);
    const outcome = await scripts.load({ name, text, thorough: true });
    expect(outcome).not.toHaveProperty("fault");
    expect(outcome).not.toHaveProperty("notes");
    expect(text).toMatch(/^\/\*\*\n \* [A-Z][^\n]*\.\n/);
  });

  test("does what its cases say", async () => {
    const text = await read(`${name}.ts`);
    const host = await scripts.host({ text });
    const hostWith = (settings: Record<string, unknown>) => scripts.host({ text, settings });
    const cases = readCases(await read(`${name}.cases.yaml`));
    const results = await runCases({ host, hostWith, cases, deadlineMs: 20_000 });
    expect(results.map((one) => [one.name, one.differences])).toEqual(results.map((one) => [one.name, []]));
    for (const [index, { passed, error }] of results.entries()) {
      const isExpected = cases[index]?.expect?.error !== undefined;
      expect({ passed, error: isExpected ? null : error }).toEqual({ passed: true, error: null });
    }
    // Cases that admit everybody, or nobody, would prove little.
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set([0, 1]));
  });
});

const duo = { apiHost: "api.example.org", integrationKey: "DI0123456789", secretKey: "0123456789abcdef" };

test.each([
  ["hardware-address", { registration: "auto" }, /registration must be "automatic" or "manual"/],
  ["hardware-address", { devices: 0 }, /devices must be from 1 to 10/],
  ["hardware-address", { devices: 1.5 }, /devices must be from 1 to 10/],
  ["hardware-address", { registerFrom: ["192.0.2.0/33"] }, /"192.0.2.0\/33" is no network/],
  ["client-floor", {}, /minimum is empty/],
  ["client-floor", { minimum: { all: { IV_VER: "new" } } }, /"new" is no version/],
  ["client-floor", { minimum: { windows: { IV_VER: "2.6" } } }, /"windows" is no platform; there are all, win, mac/],
  ["host-check", {}, /programs is empty/],
  ["host-check", { programs: { lin: { AV: "present" } } }, /"lin" is no platform/],
  ["host-check", { programs: { win: { AV: ">4,1" } } }, />4,1" is no range of versions/],
  ["duo", {}, /apiHost is empty/],
  ["duo", { ...duo, apiHost: "https://api.example.org/" }, /apiHost must be a host name/],
  ["duo", { ...duo, secretKey: "[secret]" }, /secretKey is not as Duo's admin panel shows it/],
  ["duo", { ...duo, failMode: "open" }, /failMode must be "safe" or "secure"/],
  ["duo", { ...duo, digest: "md5" }, /digest must be "sha512" or "sha1"/],
  ["duo", { ...duo, userName: "alice" }, /userName must hold/],
  ["duo", { ...duo, answerWithinMs: 1 }, /answerWithinMs must be from 100/],
  ["duo", { ...duo, caPem: "none" }, /its settings are not right/],
  ["working-hours", { hours: { monday: "08:00-18:00" } }, /"monday" is no day; there are sun, mon/],
  ["working-hours", { hours: { mon: "8-18" } }, /"8-18" are no hours/],
  ["working-hours", { hours: { mon: "08:00-24:30" } }, /are no hours/],
  ["working-hours", { timeZone: "Nowhere/At_All" }, /Invalid time zone/],
  ["working-hours", { holidays: ["25.12.2026"] }, /"25.12.2026" is no day/],
  ["source-networks", {}, /allow, deny and groups are empty/],
  ["source-networks", { allow: ["example.org"] }, /"example.org" is no network/],
  ["source-networks", { groups: { admins: ["10.0.0.0/8/8"] } }, /is no network/],
  ["radius-groups", {}, /groups is empty/],
  ["radius-groups", { groups: { a: "b" }, groupAttribute: 0 }, /attributes are numbers from 1 to 255/],
  ["radius-groups", { groups: { a: "b" }, properties: { prop_lzo: { attribute: 25 } } }, /properties.prop_lzo must be/],
  ["saml-groups", {}, /groups is empty/],
  ["saml-groups", { groups: { a: "b" }, properties: { prop_lzo: { values: {} } } }, /properties.prop_lzo must be/],
  ["ldap-groups", {}, /groups is empty/],
  ["ldap-groups", { groups: { a: "b" }, lookup: "guess" }, /lookup must be/],
])("%s does not accept the settings %j", async (name, settings, message) => {
  expect((await scripts.fault(await read(`${name}.ts`), settings)).message).toMatch(message);
});

test("a session that goes on without its method keeps what was read when it began", async () => {
  const call = (info: object, state?: string | null) => ({
    arguments: {
      authcred: { username: "alice", client_ip_addr: "192.0.2.7" },
      attributes: { vpn_auth: true, reauth: true },
      authret: { status: 0, user: "alice", reason: "", proplist: {} },
      info,
    },
    deadlineMs: 20_000,
    ...(state != null && { state }),
  });
  for (const [name, settings, info] of [
    ["radius-groups", { groups: { staff: "people" } }, { auth_method: "radius", radius_reply: { 25: ["staff"] } }],
    ["saml-groups", { groups: { staff: "people" } }, { auth_method: "saml", saml_attr: { groups: ["staff"] } }],
  ] as const) {
    const host = await scripts.host({ text: await read(`${name}.ts`), settings });
    const first = await host.call(call(info));
    const state = first.outcome === "returned" ? first.state : null;
    expect(await host.call(call({ auth_method: "session" }, state))).toMatchObject({
      value: { status: 0, proplist: { conn_group: "people" } },
    });
    expect(await host.call(call({ auth_method: "session" }))).toMatchObject({ value: { status: 1 } });
  }
});

describe("enabling one", () => {
  let under: Bench;
  let versions: ScriptVersions;
  let shipped: ShippedScripts;
  beforeEach(async () => {
    under = await bench();
    const { store, settings, loaders, gate } = under;
    const applied = gate.reload;
    versions = createScriptVersions({ scripts: store, settings, loaders, deadlineMs: () => 20_000, applied });
    shipped = createShippedScripts({ directory, versions });
  });
  afterEach(() => under[Symbol.asyncDispose]());

  test("takes its name and its settings; its cases are those it came with", async () => {
    const settings = '{ "allow": ["192.0.2.0/24"] }';
    expect(await shipped.add({ name: "source-networks", settings, by: "root" })).toMatchObject({
      id: "source-networks@1",
      language: "typescript",
      hasCases: true,
      active: false,
    });
    await versions.activate({ name: "source-networks" });
    expect(await under.gate.decide(inputOf())).toMatchObject({ outcome: "allow" });
    const authcred = { username: "alice", client_ip_addr: "198.51.100.1" };
    expect(await under.gate.decide(inputOf({ authcred }))).toMatchObject({
      outcome: "deny",
      clientReason: "This VPN cannot be used from where you are.",
    });
    await expect(versions.configure({ name: "source-networks", settings: undefined })).rejects.toThrow(/are empty/);
    expect(await under.gate.decide(inputOf())).toMatchObject({ outcome: "allow" });
  });

  test("that needs settings is not made live without them, and can be looked at meanwhile", async () => {
    await shipped.add({ name: "source-networks", as: "office", by: "root" });
    await expect(versions.activate({ name: "office" })).rejects.toThrow(/its settings are not right: allow, deny and/);
    expect((await versions.settings("office")).defaults).toMatchObject({ allow: [], deny: [], groups: {} });
    expect((await versions.test({ name: "office" })).every(({ passed }) => passed)).toBe(true);
    await versions.configure({ name: "office", settings: '{ "deny": ["203.0.113.0/24"] }' });
    await versions.activate({ name: "office" });
    expect(await under.gate.decide(inputOf())).toMatchObject({ outcome: "allow" });
  });

  test("that does not accept the settings stores it, and refuses them", async () => {
    const settings = '{ "devices": 11 }';
    await expect(shipped.add({ name: "hardware-address", settings, by: "root" })).rejects.toThrow(/from 1 to 10/);
    expect(await under.settings.list()).toEqual({});
  });

  test("starts from a list that says what each is for, and whether it is stored as it is shipped", async () => {
    await shipped.add({ name: "client-floor", by: "root" });
    await versions.add({
      name: "host-check",
      text: `${await read("host-check.ts")}// mine\n`,
      language: "typescript",
      by: "root",
    });
    const list = await shipped.list();
    const stored: Record<string, [number, boolean]> = { "client-floor": [1, true], "host-check": [1, false] };
    expect(list.map(({ id, storedVersion, isCurrent }) => [id, storedVersion, isCurrent])).toEqual(
      names.map((id) => [id, ...(stored[id] ?? [null, false])]),
    );
    expect(list[0]?.summary).toBe("Refuses VPN clients that are too old.");
    await expect(shipped.add({ name: "nothing", by: "root" })).rejects.toThrow(
      /no script "nothing" is shipped; there are/,
    );
  });
});

describe("the hours", () => {
  const hours = { mon: "07:00-19:00", fri: "08:00-12:00, 13:00-16:30", sat: "22:00-06:00" };
  const schedule = { hours, timeZone: "Europe/Berlin", holidays: ["2026-12-25"] };
  test.each([
    ["2026-11-23T06:00:00Z", true, "Monday at seven, in winter"],
    ["2026-11-23T05:59:00Z", false, "a minute before"],
    ["2026-07-20T05:00:00Z", true, "Monday at seven, in summer"],
    ["2026-11-23T17:59:59Z", true, "a minute before the end"],
    ["2026-11-23T18:00:00Z", false, "the end"],
    ["2026-11-24T10:00:00Z", false, "a day without hours"],
    ["2026-11-27T11:30:00Z", false, "between two ranges"],
    ["2026-11-27T12:30:00Z", true, "in the second one"],
    ["2026-12-25T10:00:00Z", false, "a holiday"],
    ["2026-11-28T21:30:00Z", true, "Saturday night"],
    ["2026-11-29T04:59:00Z", true, "the same night, on Sunday"],
    ["2026-11-29T05:00:00Z", false, "when the night is over"],
    ["2026-11-28T04:00:00Z", false, "the night before, which is Friday's"],
  ])("at %s: %s (%s)", (at, open) => {
    expect(isOpen(new Date(at), schedule)).toBe(open);
  });
});
