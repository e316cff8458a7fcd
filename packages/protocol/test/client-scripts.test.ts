import { expect, it } from "vitest";
import {
  announceKey,
  type Bundle,
  type ClientScript,
  newSigningKey,
  type SignedBundle,
  sha256,
  signBundle,
  verifyBundle,
} from "../src/index.ts";

const serverId = "0193-server";
const ticket = "t".repeat(43);
const nonce = "n".repeat(22);
const now = new Date("2026-11-22T12:00:00.000Z");

const script = (text: string, change: Partial<ClientScript> = {}): ClientScript => ({
  name: "open-url.sh",
  event: "connect",
  privilege: "user",
  platform: "linux",
  sha256: sha256(text),
  text,
  environment: { LAUNCH_URL: "https://intranet.example.org" },
  ...change,
});

const bundle = (change: Partial<Bundle> = {}): Bundle => ({
  id: "b1",
  issuedAt: "2026-11-22T11:59:59.000Z",
  expiresAt: "2026-11-22T12:02:00.000Z",
  serverId,
  connectionId: "c1",
  ticketSha256: sha256(ticket),
  nonce,
  userId: "alice",
  profileId: "office",
  group: "eng",
  platform: "linux",
  scripts: [script("#!/bin/sh\nexit 0\n")],
  stdin: null,
  report: null,
  ...change,
});

const key = newSigningKey();
const trusted = { serverId, publicKeys: [key.publicKey], ticket, nonce, now };
const faultOf = (text: string, change: Partial<typeof trusted> = {}) => {
  const result = verifyBundle(text, { ...trusted, ...change });
  return "fault" in result ? result.fault : "none";
};
const signed = (change: Partial<Bundle> = {}, by = key) => JSON.stringify(signBundle(bundle(change), by));

/** The same envelope with other words in it. */
function swapped(text: string, from: string, to: string): string {
  const envelope = JSON.parse(text) as SignedBundle;
  const payload = Buffer.from(envelope.payload, "base64").toString("utf8");
  expect(payload).toContain(from);
  return JSON.stringify({ ...envelope, payload: Buffer.from(payload.replace(from, to)).toString("base64") });
}

it("gives the bundle that was signed, byte for byte", () => {
  const whole = bundle({ userId: "Zoë “x”\u2028", stdin: "a\nb\u0000" });
  const result = verifyBundle(JSON.stringify(signBundle(whole, key)), trusted);
  expect(result).toEqual({ bundle: whole, keyId: key.id });
});

it("refuses a bundle of which anything was changed", () => {
  expect(faultOf(swapped(signed(), '"group":"eng"', '"group":"all"'))).toBe("bad-signature");
  expect(faultOf(swapped(signed(), "exit 0", "exit 1"))).toBe("bad-signature");
  expect(faultOf(swapped(signed(), "intranet", "internet"))).toBe("bad-signature");
  const { signature: _gone, ...unsigned } = JSON.parse(signed());
  expect(faultOf(JSON.stringify(unsigned))).toBe("malformed");
  expect(faultOf(JSON.stringify({ ...unsigned, signature: "" }))).toBe("bad-signature");
  expect(faultOf("<html>")).toBe("malformed");
  expect(faultOf("null")).toBe("malformed");
});

it("refuses what another key signed, whatever name it gives itself", () => {
  const stranger = newSigningKey();
  expect(faultOf(signed({}, stranger))).toBe("unknown-key");
  expect(faultOf(signed({}, { ...stranger, id: key.id }))).toBe("bad-signature");
  expect(faultOf(signed(), { publicKeys: [] })).toBe("unknown-key");
});

it("refuses a bundle for another connection, request or server, before its time and after it", () => {
  expect(faultOf(signed(), { ticket: "u".repeat(43) })).toBe("other-connection");
  expect(faultOf(signed(), { nonce: "m".repeat(22) })).toBe("other-connection");
  expect(faultOf(signed(), { serverId: "another" })).toBe("other-server");
  expect(faultOf(signed(), { now: new Date("2026-11-22T12:03:01.000Z") })).toBe("expired");
  expect(faultOf(signed(), { now: new Date("2026-11-22T11:58:00.000Z") })).toBe("expired");
  expect(faultOf(signed({ expiresAt: "never" }))).toBe("expired");
});

it("allows clocks that differ by a minute", () => {
  expect(faultOf(signed(), { now: new Date("2026-11-22T12:02:59.000Z") })).toBe("none");
  expect(faultOf(signed(), { now: new Date("2026-11-22T11:59:00.000Z") })).toBe("none");
});

it("refuses a script whose text is not what its hash says", () => {
  expect(faultOf(signed({ scripts: [script("exit 0", { sha256: sha256("exit 1") })] }))).toBe("script-changed");
});

it.each<[string, Partial<ClientScript>]>([
  ["a path", { name: "../../etc/profile" }],
  ["a drive", { name: "C:\\x.cmd" }],
  ["nothing", { name: "" }],
  ["a hidden file", { name: ".profile" }],
  ["a line feed", { name: "a\nb" }],
])("refuses a script named by %s, even under a right signature", (_what, change) => {
  expect(faultOf(signed({ scripts: [script("exit 0", change)] }))).toBe("malformed");
});

it("refuses variables that are none, even under a right signature", () => {
  const variables: Record<string, string>[] = [{ "A=B": "" }, { "": "x" }, { "A B": "" }, { A: "\0" }];
  for (const environment of variables) {
    expect(faultOf(signed({ scripts: [script("exit 0", { environment })] }))).toBe("malformed");
  }
});

it("refuses a script of more than a megabyte", () => {
  expect(faultOf(signed({ scripts: [script("x".repeat(1024 * 1024))] }))).toBe("none");
  expect(faultOf(signed({ scripts: [script("x".repeat(1024 * 1024 + 1))] }))).toBe("malformed");
});

it("follows announcements from a pinned key to the present one, and no others", () => {
  const [second, third, stranger] = [newSigningKey(), newSigningKey(), newSigningKey()];
  const announced = (to: typeof key, by: typeof key, of = serverId) =>
    announceKey({ serverId: of, publicKey: to.publicKey, at: now.toISOString() }, by);
  const by = (signer: typeof key, announcements: ReturnType<typeof announced>[]) =>
    JSON.stringify(signBundle(bundle(), signer, announcements));
  const chain = [announced(second, key), announced(third, second)];

  expect(faultOf(by(third, chain))).toBe("none");
  expect(faultOf(by(third, chain), { publicKeys: [second.publicKey] })).toBe("none");
  expect(faultOf(by(third, chain.slice(1)))).toBe("unknown-key");
  expect(faultOf(by(stranger, [...chain, announced(stranger, stranger)]))).toBe("unknown-key");
  expect(faultOf(by(second, [announced(second, key, "another")]))).toBe("unknown-key");
  // A bundle is no announcement, though the same key signed it.
  expect(faultOf(by(second, [signBundle(bundle(), key)]))).toBe("unknown-key");
});
