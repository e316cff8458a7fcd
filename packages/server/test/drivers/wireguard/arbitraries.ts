import { createHash } from "node:crypto";
import fc from "fast-check";
import { Secret } from "../../../src/core/secret.ts";
import { hostileText } from "../openvpn/hostile.ts";

/** Always the same key for the same number. */
export const keyNumber = (number: number) => createHash("sha256").update(`key ${number}`).digest("base64");
export const addressNumber = (number: number) => `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}/32`;

export const key = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString("base64"));
export const secretKey = key.map((text) => new Secret(text));

/** Almost a key, or nothing like it. */
export const noKey = fc
  .oneof(
    hostileText,
    fc.tuple(key, hostileText.filter(Boolean)).map(([one, more]) => one + more),
    fc.tuple(hostileText.filter(Boolean), key).map(([more, one]) => more + one),
    fc
      .uint8Array({ maxLength: 64 })
      .filter((bytes) => bytes.length !== 32)
      .map((bytes) => Buffer.from(bytes).toString("base64")),
    key.map((one) => one.slice(0, -1)),
    key.map((one) => Buffer.from(one, "base64").toString("hex")),
    key.map((one) => `${one}\n`),
    // The bits behind the last byte are not zero: another text for the same key.
    key.filter((one) => "AEIMQUYcgkosw048".includes(one[42] ?? "")).map((one) => `${one.slice(0, 42)}B=`),
  )
  .filter((text) => !/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(text));

export const range = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([address, bits]) => `${address}/${bits}`),
  fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).map(([address, bits]) => `${address}/${bits}`),
);
export const noRange = fc.oneof(
  hostileText,
  fc.tuple(range, hostileText.filter(Boolean)).map(([one, more]) => one + more),
);
