import { chmod, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Bundle, type ClientScript, newSigningKey, sha256, signBundle } from "@sallyport/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Policy } from "../../src/service/policy.ts";
import { script, ticket } from "../scripts/pretend-server.ts";
import { key, type ServiceAtWork, server, serviceAtWork } from "./service-at-work.ts";

let service: ServiceAtWork;

beforeEach(async () => {
  service = await serviceAtWork();
});

afterEach(() => service[Symbol.asyncDispose]());

const record = () => join(service.directory, "record");
const recorded = () => readFile(record(), "utf8").catch(() => "");

function adminScript(event: "connect" | "disconnect" = "connect", changes: Partial<ClientScript> = {}): ClientScript {
  const text = `#!/bin/sh\necho ${event} $(id -u) $N_RECONNECTS $GRACEFUL_DISCONNECT "$VPN_USER_ID" "$VPN_IP_FOUR" >>${record()}\n`;
  return script({ name: `${event}.sh`, event, privilege: "admin", text, ...changes });
}

function bundleText(nonce: string, changes: Partial<Bundle> = {}, by = key): string {
  const bundle: Bundle = {
    ...{ id: "b", issuedAt: new Date().toISOString(), expiresAt: new Date(Date.now() + 60_000).toISOString() },
    ...{ serverId: "server-1", connectionId: "c", ticketSha256: sha256(ticket), nonce, userId: "alice" },
    ...{ profileId: "office", group: null, platform: "linux", stdin: null, report: null },
    ...{ scripts: [adminScript(), adminScript("disconnect")] },
    ...changes,
  };
  return JSON.stringify(signBundle(bundle, by));
}

const facts = { ipFour: "127.0.0.1", reconnects: 2, graceful: true };

test("administrator scripts run as root on connect and disconnect, once each", async () => {
  await service.allow({});
  const one = await service.client();
  const nonce = await one.scripts.nonce();
  expect(await one.scripts.take({ text: bundleText(nonce), ticket, nonce })).toBeUndefined();
  expect(await one.scripts.run("connect", facts)).toMatchObject([{ outcome: "ran", exitCode: 0 }]);
  expect(await one.scripts.run("connect", facts)).toEqual([]);
  await one.scripts.run("disconnect", facts);
  await one.scripts.run("disconnect", facts);
  expect(await recorded()).toBe("connect 0 2 1 alice 127.0.0.1\ndisconnect 0 2 1 alice 127.0.0.1\n");
  one.close();
});

test("administrator scripts run on disconnect when the agent is just gone", async () => {
  await service.allow({});
  const one = await service.client();
  const nonce = await one.scripts.nonce();
  await one.scripts.take({ text: bundleText(nonce), ticket, nonce });
  await one.scripts.run("connect", facts);
  one.close();
  await service.end();
  expect(await recorded()).toContain("disconnect 0 2 0 alice");
});

test("what a user tells of the connection is believed only where this machine bears it out", async () => {
  await service.allow({});
  const one = await service.client();
  const nonce = await one.scripts.nonce();
  await one.scripts.take({ text: bundleText(nonce), ticket, nonce });
  await one.scripts.run("connect", { ...facts, ipFour: "203.0.113.77; rm -rf /", reconnects: -5 });
  expect(await recorded()).toBe("connect 0 0 1 alice \n");
  one.close();
});

const refusals: [title: string, words: RegExp, offer: (nonce: string) => object][] = [
  ["nobody signed", /not a signed bundle/, (nonce) => ({ text: "{}", ticket, nonce })],
  [
    "somebody else signed",
    /unknown-key|key/,
    (nonce) => ({ text: bundleText(nonce, {}, newSigningKey()), ticket, nonce }),
  ],
  [
    "was made for another machine",
    /not asked for by this machine/,
    () => {
      const nonce = "another-machines-nonce-0123456789";
      return { text: bundleText(nonce), ticket, nonce };
    },
  ],
  ["was made for another request", /another/, (nonce) => ({ text: bundleText("x".repeat(32)), ticket, nonce })],
  ["is of another ticket", /another/, (nonce) => ({ text: bundleText(nonce), ticket: `${ticket}-of-bob`, nonce })],
  [
    "is another server's",
    /other|another/,
    (nonce) => ({ text: bundleText(nonce, { serverId: "server-2" }), ticket, nonce }),
  ],
  [
    "is too old",
    /good from/,
    (nonce) => {
      const long = { issuedAt: "2020-01-01T00:00:00.000Z", expiresAt: "2020-01-01T00:02:00.000Z" };
      return { text: bundleText(nonce, long), ticket, nonce };
    },
  ],
];

test.each(refusals)("administrator scripts never run out of a bundle that %s", async (_title, words, offer) => {
  await service.allow({});
  const one = await service.client();
  const taken = await one.scripts.take(offer(await one.scripts.nonce()) as never);
  expect(taken?.refused).toMatch(words);
  expect(await one.scripts.run("connect", facts)).toEqual([]);
  expect(await recorded()).toBe("");
  one.close();
});

test("a bundle counts once, and for the agent alone that asked for it", async () => {
  await service.allow({});
  const [one, other] = [await service.client(), await service.client()];
  const nonce = await one.scripts.nonce();
  const offered = { text: bundleText(nonce), ticket, nonce };
  expect(await other.scripts.take(offered)).toMatchObject({ refused: expect.stringContaining("not asked for") });
  expect(await one.scripts.take(offered)).toBeUndefined();
  expect(await one.scripts.take(offered)).toMatchObject({ refused: expect.stringContaining("offered before") });
  one.close();
  other.close();
});

test("administrator scripts run only as the owner's policy says, which is asked each time", async () => {
  const one = await service.client();
  const offer = async () => {
    const nonce = await one.scripts.nonce();
    return await one.scripts.take({ text: bundleText(nonce), ticket, nonce });
  };
  expect((await offer())?.refused).toContain("allows no administrator scripts");
  await service.allow({ servers: [] });
  expect((await offer())?.refused).toContain("trusts no server");
  await service.allow({ administratorScripts: "ask" });
  expect(await offer()).toBeUndefined();
  expect(await one.scripts.run("connect", facts)).toMatchObject([{ outcome: "refused" }]);
  const { sha256: hash } = adminScript();
  expect(await readdir(join(service.directory, "state", "asked"))).toEqual([`${hash}.json`]);
  await service.allow({ administratorScripts: "ask", servers: [{ ...server, scripts: [hash] }] });
  expect(await offer()).toBeUndefined();
  expect(await one.scripts.run("connect", facts)).toMatchObject([{ outcome: "ran" }]);
  one.close();
});

test.each([
  ["the script is revoked", { administratorScripts: "ask", servers: [server] }],
  ["the server is revoked", { administratorScripts: "trust", servers: [] }],
  ["the server's key is another", { servers: [{ ...server, publicKeys: [newSigningKey().publicKey] }] }],
  ["no scripts are to run", { administratorScripts: "never" }],
] as [string, Partial<Policy>][])(
  "administrator scripts do not run on disconnect when meanwhile %s",
  async (_title, changes) => {
    const scripts = [adminScript().sha256, adminScript("disconnect").sha256];
    await service.allow({ administratorScripts: "ask", servers: [{ ...server, scripts }] });
    const one = await service.client();
    const nonce = await one.scripts.nonce();
    await one.scripts.take({ text: bundleText(nonce), ticket, nonce });
    expect(await one.scripts.run("connect", facts)).toMatchObject([{ outcome: "ran" }]);
    await service.allow(changes);
    expect(await one.scripts.run("disconnect", facts)).toMatchObject([{ outcome: "refused" }]);
    expect(await recorded()).not.toContain("disconnect");
    one.close();
  },
);

test("a policy that others can write to allows nothing", async () => {
  await service.allow({});
  await chmod(join(service.directory, "policy.json"), 0o666);
  const one = await service.client();
  const nonce = await one.scripts.nonce();
  await expect(one.scripts.take({ text: bundleText(nonce), ticket, nonce })).rejects.toThrow(/somebody else/);
  one.close();
});

test.each([
  ["LD_PRELOAD", "/tmp/evil.so"],
  ["BASH_ENV", "/tmp/evil"],
  ["PREPATH", "/tmp"],
  ["PREPATH", "relative"],
])("administrator scripts are not run with %s=%s", async (name, value) => {
  await service.allow({});
  const one = await service.client();
  const nonce = await one.scripts.nonce();
  const scripts = [adminScript("connect", { environment: { [name]: value } })];
  await one.scripts.take({ text: bundleText(nonce, { scripts }), ticket, nonce });
  const [report] = await one.scripts.run("connect", facts);
  expect(report?.outcome).not.toBe("ran");
  expect(report?.detail).toContain(name);
  expect(await recorded()).toBe("");
  one.close();
});
