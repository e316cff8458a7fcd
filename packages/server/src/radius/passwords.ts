import { createHash } from "node:crypto";
import { attribute, type RadiusAttribute } from "./packet.ts";

/** The longest password that User-Password can carry, in bytes. */
export const longestPapBytes = 128;

/** User-Password, hidden with the secret and the request's authenticator (RFC 2865 section 5.2). */
export function papPassword(password: string, secret: string, authenticator: Buffer): RadiusAttribute {
  const plain = Buffer.from(password);
  if (plain.length > longestPapBytes) throw new RangeError(`a password is over ${longestPapBytes} bytes`);
  const value = Buffer.alloc(Math.max(16, Math.ceil(plain.length / 16) * 16));
  plain.copy(value);
  let before = authenticator;
  for (let at = 0; at < value.length; at += 16) {
    const pad = createHash("md5").update(secret).update(before).digest();
    for (let i = 0; i < 16; i++) value.writeUInt8(value.readUInt8(at + i) ^ pad.readUInt8(i), at + i);
    before = value.subarray(at, at + 16);
  }
  return { type: attribute.userPassword, value };
}

/** CHAP-Challenge and CHAP-Password (RFC 2865 sections 5.3, 5.40): MD5 over the identifier, password and challenge. */
export function chapPassword(password: string, challenge: Buffer, identifier: number): RadiusAttribute[] {
  const digest = createHash("md5").update(Buffer.of(identifier)).update(password).update(challenge).digest();
  return [
    { type: attribute.chapChallenge, value: challenge },
    { type: attribute.chapPassword, value: Buffer.concat([Buffer.of(identifier), digest]) },
  ];
}
