import { createHash, timingSafeEqual } from "node:crypto";
import des from "des.js";
import md4 from "js-md4";
import type { RadiusAttribute } from "./packet.ts";
import { encodeVendorSpecific, type VendorValue, vendor } from "./vendor.ts";

/** Microsoft's attributes (RFC 2548 section 2). */
export const microsoft = { error: 2, challenge: 11, sendKey: 16, receiveKey: 17, response: 25, success: 26 } as const;

/** Windows' passwords end there. */
export const longestMschapCharacters = 256;

/** What a MS-CHAPv2 exchange is about; the challenges have 16 random bytes each. */
export type MschapExchange = {
  username: string;
  password: string;
  authenticatorChallenge: Buffer;
  peerChallenge: Buffer;
  identifier: number;
};

/** MS-CHAP-Challenge and MS-CHAP2-Response (RFC 2548 sections 2.1.2, 2.3.2). */
export function mschapAttributes(exchange: MschapExchange): RadiusAttribute[] {
  const { authenticatorChallenge, peerChallenge, identifier } = exchange;
  const response = Buffer.concat([Buffer.of(identifier, 0), peerChallenge, Buffer.alloc(8), ntResponse(exchange)]);
  return [
    encodeVendorSpecific({ vendor: vendor.microsoft, type: microsoft.challenge, value: authenticatorChallenge }),
    encodeVendorSpecific({ vendor: vendor.microsoft, type: microsoft.response, value: response }),
  ];
}

/** GenerateNTResponse (RFC 2759 section 8.1). */
export function ntResponse(exchange: MschapExchange): Buffer {
  const challenge = challengeHash(exchange);
  const key = Buffer.concat([ntHash(exchange.password), Buffer.alloc(5)]);
  return Buffer.concat([0, 7, 14].map((at) => desEncrypt(key.subarray(at, at + 7), challenge)));
}

const magicSigning = "Magic server to client signing constant";
const magicPad = "Pad to make it do more than one iteration";

/** GenerateAuthenticatorResponse (RFC 2759 section 8.7): what only a server that knows the password can say. */
export function authenticatorResponse(exchange: MschapExchange): string {
  const sha1 = (...parts: (Buffer | string)[]) =>
    parts.reduce((hash, part) => hash.update(part), createHash("sha1")).digest();
  const digest = sha1(md4Of(ntHash(exchange.password)), ntResponse(exchange), magicSigning);
  return `S=${sha1(digest, challengeHash(exchange), magicPad).toString("hex").toUpperCase()}`;
}

/** Whether MS-CHAP2-Success among an Access-Accept's attributes proves that the server knows the password. */
export function provesPassword(values: readonly VendorValue[], exchange: MschapExchange): boolean {
  const success = values.find((one) => one.vendor === vendor.microsoft && one.type === microsoft.success)?.value;
  if (success === undefined || success.length < 43 || success.readUInt8(0) !== exchange.identifier) return false;
  return timingSafeEqual(success.subarray(1, 43), Buffer.from(authenticatorResponse(exchange)));
}

/** The domain before a backslash takes no part (RFC 2759 section 4). */
function challengeHash({ peerChallenge, authenticatorChallenge, username }: MschapExchange): Buffer {
  const name = username.slice(username.lastIndexOf("\\") + 1);
  const hash = createHash("sha1").update(peerChallenge).update(authenticatorChallenge).update(name);
  return hash.digest().subarray(0, 8);
}

const ntHash = (password: string) => md4Of(Buffer.from(password, "utf16le"));

/** Step by step: the library's one-call form asks OpenSSL, which has no MD4 any more. */
const md4Of = (bytes: Buffer) => Buffer.from(md4.create().update(bytes).array());

/** One block under a key of 7 bytes, spread over 8 as DES wants it. The parity bits are never looked at. */
function desEncrypt(key: Buffer, block: Buffer): Buffer {
  const bits = BigInt(`0x${key.toString("hex")}`);
  const spread = Buffer.from(Array.from({ length: 8 }, (_, i) => Number((bits >> BigInt(49 - 7 * i)) & 0x7fn) << 1));
  return Buffer.from(des.DES.create({ type: "encrypt", key: spread }).update(block));
}

/** The `E=` number of an MS-CHAP-Error in words (RFC 2548 section 2.1.5, RFC 2759 section 6). */
export function mschapErrorReason(values: readonly VendorValue[]): string | undefined {
  const error = values.find((one) => one.vendor === vendor.microsoft && one.type === microsoft.error)?.value;
  const number = /\bE=(\d{1,10})/.exec(error?.toString("latin1") ?? "")?.[1];
  return number === undefined ? undefined : (errors[number] ?? `MS-CHAP error ${number}`);
}

const errors: Readonly<Record<string, string>> = {
  "646": "the account may not sign in at this time",
  "647": "the account is disabled",
  "648": "the password has expired",
  "649": "the account has no permission to dial in",
  "691": "wrong user name or password",
};
