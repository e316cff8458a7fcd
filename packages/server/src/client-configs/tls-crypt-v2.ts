import { createCipheriv, createHmac, randomBytes } from "node:crypto";
import { fromPem, toPem } from "./pem.ts";

/*
 * Keys for OpenVPN's `tls-crypt-v2`, in the formats of doc/tls-crypt-v2.txt in its sources. Only who holds a client key
 * can get as far as TLS, so that strangers cannot even tell that a server is there. A key is 256 bytes: for each
 * direction 64 for a cipher and 64 for an HMAC, of which AES-256 and SHA-256 use the first 32. The server's has one
 * direction.
 */

const serverLabel = "OpenVPN tls-crypt-v2 server key";
const clientLabel = "OpenVPN tls-crypt-v2 client key";
const serverKeyBytes = 128;
const clientKeyBytes = 256;
const timestampType = 1;

export function newServerKey(): string {
  return toPem(serverLabel, randomBytes(serverKeyBytes));
}

export function isServerKey(pem: string): boolean {
  return fromPem(serverLabel, pem)?.length === serverKeyBytes;
}

/** A device's own key, and the same key wrapped for the server, which therefore need not remember it. */
export function newClientKey(serverKeyPem: string, madeAt: Date): string {
  const serverKey = fromPem(serverLabel, serverKeyPem);
  if (serverKey?.length !== serverKeyBytes) throw new Error("this is no tls-crypt-v2 server key");
  const key = randomBytes(clientKeyBytes);
  const metadata = Buffer.alloc(9);
  metadata.writeUInt8(timestampType, 0);
  metadata.writeBigInt64BE(BigInt(Math.floor(madeAt.getTime() / 1000)), 1);
  return toPem(clientLabel, Buffer.concat([key, wrap(serverKey, Buffer.concat([key, metadata]))]));
}

/** `WKc = T || AES-256-CTR(Ke, IV, Kc || metadata) || len`, where `T = HMAC-SHA256(Ka, len || Kc || metadata)`. */
function wrap(serverKey: Buffer, content: Buffer): Buffer {
  const tagBytes = 32;
  const length = Buffer.alloc(2);
  length.writeUInt16BE(tagBytes + content.length + length.length);
  const tag = createHmac("sha256", serverKey.subarray(64, 96)).update(length).update(content).digest();
  const cipher = createCipheriv("aes-256-ctr", serverKey.subarray(0, 32), tag.subarray(0, 16));
  return Buffer.concat([tag, cipher.update(content), cipher.final(), length]);
}
