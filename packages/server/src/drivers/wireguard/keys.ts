import { createPrivateKey, createPublicKey } from "node:crypto";
import { SallyportError } from "../../core/errors.ts";
import { Secret } from "../../core/secret.ts";

const keyBytes = 32;
const base64Key = /^[A-Za-z0-9+/]{43}=$/;
const hexKey = /^[0-9a-f]{64}$/;
/** RFC 8410's wrapping of a raw X25519 private key. */
const pkcs8Head = Buffer.from("302e020100300506032b656e04220420", "hex");

/** Whether a text is the one base64 form of 32 bytes: only such a text may reach an interface. */
export function isKey(text: string): boolean {
  return base64Key.test(text) && Buffer.from(text, "base64").toString("base64") === text;
}

/** @throws SallyportError `invalid-input` where it is no key; the message does not repeat it */
export function checkKey(text: string): void {
  if (!isKey(text))
    throw new SallyportError("invalid-input", `a WireGuard key is ${keyBytes} bytes in base64, and this is none`);
}

/** @throws SallyportError `invalid-input` */
export function keyToHex(text: string): string {
  checkKey(text);
  return Buffer.from(text, "base64").toString("hex");
}

/** Undefined where it is no key. */
export function hexToKey(hex: string): string | undefined {
  return hexKey.test(hex) ? Buffer.from(hex, "hex").toString("base64") : undefined;
}

/** @throws SallyportError `invalid-input` where it is no key */
export function publicKeyOf(privateKey: Secret): string {
  const raw = Buffer.from(keyToHex(privateKey.reveal()), "hex");
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Head, raw]), format: "der", type: "pkcs8" });
  const exported = createPublicKey(key).export({ format: "der", type: "spki" });
  return exported.subarray(-keyBytes).toString("base64");
}

/** Interfaces say "no preshared key" as a key of zeros. */
export function presharedKeyOf(key: string | undefined): Secret | null {
  return key === undefined || key === noKey ? null : new Secret(key);
}

export const noKey = Buffer.alloc(keyBytes).toString("base64");
