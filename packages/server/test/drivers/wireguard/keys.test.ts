import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Secret } from "../../../src/core/secret.ts";
import { hexToKey, isKey, keyToHex, publicKeyOf } from "../../../src/drivers/wireguard/keys.ts";
import { key, noKey } from "./arbitraries.ts";

test("every 32 bytes are a key, in one way only", () => {
  fc.assert(
    fc.property(key, (one) => {
      assert.ok(isKey(one));
      assert.match(keyToHex(one), /^[0-9a-f]{64}$/);
      assert.equal(hexToKey(keyToHex(one)), one);
    }),
  );
});

test("nothing else is a key, and the error does not repeat it", () => {
  fc.assert(
    fc.property(noKey, (text) => {
      assert.ok(!isKey(text));
      assert.throws(
        () => keyToHex(text),
        (error: Error) => error.message === "a WireGuard key is 32 bytes in base64, and this is none",
      );
    }),
  );
});

test("the public key is the one that wg says", () => {
  const privateKey = execFileSync("wg", ["genkey"]).toString().trim();
  const publicKey = execFileSync("wg", ["pubkey"], { input: privateKey }).toString().trim();
  expect(publicKeyOf(new Secret(privateKey))).toBe(publicKey);
});

test("bits of a private key that mean nothing make no other public key", () => {
  const raw = Buffer.from(execFileSync("wg", ["genkey"]).toString(), "base64");
  const other = Buffer.from(raw);
  other[0] = (other[0] ?? 0) | 7;
  expect(other).not.toEqual(raw);
  const [one, two] = [raw, other].map((bytes) => publicKeyOf(new Secret(bytes.toString("base64"))));
  expect(one).toBe(two);
});
