import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { type Authority, openAuthority } from "../../src/client-configs/authority.ts";
import { type ClientConfigs, createClientConfigs, type OpenVpnOrder } from "../../src/client-configs/client-configs.ts";
import { openVpnFile } from "../../src/client-configs/openvpn-file.ts";
import type { Store } from "../../src/store/store.ts";
import { openStoreHere } from "../store/open-here.ts";
import { inlineOf, newDirectory, openssl } from "./directory.ts";

const profile: OpenVpnOrder["profile"] = {
  id: "office",
  displayName: "Office",
  hostName: "vpn.example.org",
  listeners: [{ transport: "udp", port: 1194 }],
};
const order: OpenVpnOrder = { kind: "user-locked", userId: "alice", profile };
const yearMs = 365 * 86_400_000;

let directory: string;
let store: Store;
let authority: Authority;
let configs: ClientConfigs;

beforeEach(async () => {
  directory = await newDirectory();
  store = await openStoreHere(join(directory, "sallyport.db"));
  authority = await openAuthority({ directory: join(directory, "pki") });
  configs = createClientConfigs({ authority, store: store.clientConfigs });
  return () => store.close();
});

/** Writes the parts of a file where openssl can read them. */
async function parts(text: string): Promise<{ ca: string; cert: string; key: string }> {
  const home = await newDirectory();
  const put = async (tag: string) => {
    await writeFile(join(home, tag), inlineOf(text, tag));
    return join(home, tag);
  };
  return { ca: await put("ca"), cert: await put("cert"), key: await put("key") };
}

const optionsOf = (text: string) =>
  text
    .replace(/<([a-z0-9-]+)>[\s\S]*?<\/\1>/g, "<$1>")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));

describe("a user-locked client config", () => {
  it("holds everything a stock client needs, and asks for user name and password", async () => {
    const { text } = await configs.issueOpenVpn({
      ...order,
      profile: {
        ...profile,
        listeners: [
          { transport: "udp", port: 1194 },
          { transport: "udp", port: 443 },
        ],
      },
    });
    expect(optionsOf(text)).toEqual([
      'setenv FRIENDLY_NAME "Office (vpn.example.org)"',
      "client",
      "dev tun",
      "nobind",
      "remote vpn.example.org 1194 udp",
      "remote vpn.example.org 443 udp",
      "resolv-retry infinite",
      "persist-tun",
      "remote-cert-tls server",
      "verify-x509-name sallyport-server-office name",
      "tls-version-min 1.2",
      "ignore-unknown-option data-ciphers",
      "data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305",
      "push-peer-info",
      "auth-retry interact",
      "auth-user-pass",
      "explicit-exit-notify 1",
      "verb 3",
      "<ca>",
      "<cert>",
      "<key>",
      "<tls-crypt-v2>",
    ]);
    expect(text).toContain("# profile: Office (office)\n# for: alice\n");
  });

  it("is remembered by its certificate, which lasts ten years", async () => {
    const { config, text } = await configs.issueOpenVpn(order);
    expect(config).toMatchObject({
      userId: "alice",
      profileId: "office",
      kind: "user-locked",
      protocol: "openvpn",
      revokedAt: null,
    });
    expect(config.connectionId).toBe(config.id);
    expect(await store.clientConfigs.bySerial(config.serial ?? "")).toEqual(config);
    const { cert } = await parts(text);
    const { output } = await openssl(
      "x509",
      "-in",
      cert,
      "-noout",
      "-subject",
      "-serial",
      "-enddate",
      "-dateopt",
      "iso_8601",
    );
    expect(output).toContain(`subject=CN = ${config.id}\n`);
    expect(output).toContain(`serial=${config.serial?.toUpperCase()}\n`);
    expect(output).toContain(`notAfter=${config.expiresAt.replace("T", " ").replace(".000Z", "Z")}`);
    expect(config.serial).toMatch(/^[1-9a-f][0-9a-f]+$/);
    const years = (Date.parse(config.expiresAt) - Date.now()) / yearMs;
    expect(years).toBeGreaterThan(9.99);
    expect(years).toBeLessThan(10.01);
  });

  it("has a certificate that openssl takes for a TLS client, until it expires, and for nothing else", async () => {
    const { text } = await configs.issueOpenVpn({ ...order, validForMs: 3_600_000 });
    const { ca, cert, key } = await parts(text);
    const verify = (...args: string[]) => openssl("verify", "-x509_strict", "-CAfile", ca, ...args, cert);
    expect(await verify("-purpose", "sslclient")).toMatchObject({ status: 0 });
    expect((await verify("-purpose", "sslserver")).output).toContain("unsuitable certificate purpose");
    const later = Math.floor(Date.now() / 1000) + 3700;
    expect((await verify("-purpose", "sslclient", "-attime", String(later))).output).toContain(
      "certificate has expired",
    );
    expect((await openssl("pkey", "-in", key, "-pubout")).output).toBe(
      (await openssl("x509", "-in", cert, "-pubkey", "-noout")).output,
    );
  });

  it("ends with the authority at the latest", async () => {
    const { config } = await configs.issueOpenVpn({ ...order, validForMs: 30 * yearMs });
    expect(config.expiresAt).toBe(authority.notAfter.toISOString());
  });

  it("shares nothing with the next one, and nothing of its key stays on the server", async () => {
    const [one, two] = [await configs.issueOpenVpn(order), await configs.issueOpenVpn(order)];
    for (const tag of ["cert", "key", "tls-crypt-v2"])
      expect(inlineOf(one.text, tag)).not.toBe(inlineOf(two.text, tag));
    expect(one.config.id).not.toBe(two.config.id);
    const secrets = ["key", "tls-crypt-v2"].map((tag) => inlineOf(one.text, tag).split("\n")[1] ?? "");
    for (const name of await readdir(directory, { recursive: true })) {
      const path = join(directory, name);
      if ((await stat(path)).isDirectory()) continue;
      const content = await readFile(path, "latin1");
      for (const secret of secrets) expect([name, content.includes(secret)]).toEqual([name, false]);
    }
  });

  it("is not handed out where it could not be remembered", async () => {
    const failing = { ...store.clientConfigs, add: () => Promise.reject(new Error("disk full")) };
    await expect(createClientConfigs({ authority, store: failing }).issueOpenVpn(order)).rejects.toThrow("disk full");
  });

  it("carries a script's static challenge, with the answer shown or not", async () => {
    const staticChallenge = { text: 'Your "PIN"?', echo: true };
    expect((await configs.issueOpenVpn({ ...order, staticChallenge })).text).toContain(
      '\nstatic-challenge "Your \\"PIN\\"?" 1\n',
    );
    const hidden = { ...order, staticChallenge: { ...staticChallenge, echo: false } };
    expect((await configs.issueOpenVpn(hidden)).text).toContain('\nstatic-challenge "Your \\"PIN\\"?" 0\n');
  });
});

describe("the other kinds", () => {
  it("auto-login belongs to a user and asks for nothing", async () => {
    const { config, text } = await configs.issueOpenVpn({ ...order, kind: "auto-login" });
    expect(config).toMatchObject({ kind: "auto-login", userId: "alice" });
    expect(optionsOf(text)).not.toContain("auth-user-pass");
  });

  it("server-locked belongs to nobody and asks for user name and password", async () => {
    const { config, text } = await configs.issueOpenVpn({ ...order, kind: "server-locked", userId: null });
    expect(config).toMatchObject({ kind: "server-locked", userId: null });
    expect(optionsOf(text)).toContain("auth-user-pass");
  });

  it("over TCP alone says no goodbye, which OpenVPN has for UDP", async () => {
    const tcp = { ...profile, listeners: [{ transport: "tcp" as const, port: 443 }] };
    const { text } = await configs.issueOpenVpn({ ...order, profile: tcp });
    expect(optionsOf(text)).toContain("remote vpn.example.org 443 tcp");
    expect(optionsOf(text).join()).not.toContain("explicit-exit-notify");
  });
});

describe("an order that cannot be", () => {
  it.each<[string, Partial<OpenVpnOrder>]>([
    ["nobody's user-locked file", { userId: null }],
    ["nobody's auto-login file", { kind: "auto-login", userId: null }],
    ["somebody's server-locked file", { kind: "server-locked" }],
    ["a name with a line break", { userId: "alice\nup /bin/sh" }],
    ["a name over 64 bytes", { userId: "a".repeat(65) }],
    ["a host name with a line break", { profile: { ...profile, hostName: "vpn\nscript-security 2" } }],
    ["a host name with a space", { profile: { ...profile, hostName: "vpn 1194 tcp" } }],
    ["a profile id with a line break", { profile: { ...profile, id: "a\nb" } }],
    ["a profile that listens nowhere", { profile: { ...profile, listeners: [] } }],
    ["no time at all", { validForMs: 0 }],
    ["a time that is no number", { validForMs: Number.NaN }],
  ])("%s is refused and not remembered", async (_, part) => {
    await expect(configs.issueOpenVpn({ ...order, ...part })).rejects.toMatchObject({ code: "invalid-input" });
    expect(await configs.list()).toEqual([]);
  });
});

describe("names in the file", () => {
  const nasty = fc.oneof(
    fc.string({ unit: "binary", maxLength: 400 }),
    fc
      .array(
        fc.constantFrom(
          "\n",
          "\r",
          "\0",
          '"',
          "\\",
          "\u2028",
          "\u0085",
          "</ca>",
          "<key>",
          "up /bin/sh",
          "#",
          ";",
          "'",
          "$(x)",
          " ",
          "\u202e",
          "\ud800",
          "ä",
          "\u{1f600}",
        ),
        { maxLength: 200 },
      )
      .map((pieces) => pieces.join("")),
  );
  const fileWith = (displayName: string, userId: string, challenge: string) =>
    openVpnFile({
      config: { id: "id", userId, kind: "user-locked", createdAt: "2026", expiresAt: "2036" },
      profile: { ...profile, displayName },
      serverName: "sallyport-server-office",
      staticChallenge: { text: challenge, echo: false },
      caPem: "ca",
      certificatePem: "cert",
      keyPem: "key",
      tlsCryptV2Pem: "tls",
    });

  it("become no other line, no second argument and no line that OpenVPN would cut, whatever they are", () => {
    const shape = (text: string) =>
      text.split("\n").map((line) => line.replace(/^# .*$/, "#").replace(/"([^"\\]|\\["\\])*"/, '"…"'));
    const plain = shape(fileWith("Office", "alice", "PIN?"));
    fc.assert(
      fc.property(nasty, nasty, nasty, (displayName, userId, challenge) => {
        const text = fileWith(displayName, userId, challenge);
        expect(shape(text)).toEqual(plain);
        expect(text).not.toMatch(/[^\n\P{C}]|[\u2028\u2029]/u);
        for (const line of text.split("\n")) expect(Buffer.byteLength(line)).toBeLessThan(256);
      }),
      { numRuns: 3000 },
    );
  });
});

describe("revoking", () => {
  it("happens once, and is told of what never was", async () => {
    const { config } = await configs.issueOpenVpn(order);
    expect((await configs.revoke(config.id)).revokedAt).toMatch(/Z$/);
    await expect(configs.revoke(config.id)).rejects.toMatchObject({ code: "conflict" });
    await expect(configs.revoke("none")).rejects.toMatchObject({ code: "not-found" });
    expect(await configs.list({ userId: "alice" })).toMatchObject([{ id: config.id, revokedAt: expect.any(String) }]);
    expect(await configs.list({ userId: "bob" })).toEqual([]);
  });

  it("puts the certificate on the list that openssl checks, and no other one", async () => {
    const [lost, kept] = [await configs.issueOpenVpn(order), await configs.issueOpenVpn(order)];
    const list = join(directory, "crl.pem");
    await writeFile(list, await configs.revocationList());
    const check = async (text: string) => {
      const { ca, cert } = await parts(text);
      return openssl("verify", "-crl_check", "-CAfile", ca, "-CRLfile", list, cert);
    };
    expect(await check(lost.text)).toMatchObject({ status: 0 });
    await configs.revoke(lost.config.id);
    await writeFile(list, await configs.revocationList());
    expect(await readFile(list, "utf8")).toMatch(/^-----BEGIN X509 CRL-----\n/);
    expect((await check(lost.text)).output).toContain("certificate revoked");
    expect(await check(kept.text)).toMatchObject({ status: 0 });
    const { output } = await openssl(
      "crl",
      "-in",
      list,
      "-noout",
      "-text",
      "-CAfile",
      join(directory, "pki/authority/ca.crt"),
    );
    expect(output).toContain("verify OK");
    expect(output).toMatch(/X509v3 CRL Number: \s+\d+/);
  });

  it("drops a certificate from the list when it has expired anyway", async () => {
    const { config } = await configs.issueOpenVpn({ ...order, validForMs: 3_600_000 });
    await configs.revoke(config.id);
    const later = createClientConfigs({
      authority,
      store: store.clientConfigs,
      now: () => new Date(Date.now() + 7_200_000),
    });
    await writeFile(join(directory, "now.pem"), await configs.revocationList());
    await writeFile(join(directory, "later.pem"), await later.revocationList());
    expect((await openssl("crl", "-in", join(directory, "now.pem"), "-noout", "-text")).output).toContain(
      "Serial Number",
    );
    expect((await openssl("crl", "-in", join(directory, "later.pem"), "-noout", "-text")).output).toContain(
      "No Revoked Certificates",
    );
  });
});
