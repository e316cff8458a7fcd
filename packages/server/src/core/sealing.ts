import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/** What is kept where others may come to read it: a backup or a copy of the database tells nothing without the key. */
export type Sealing = {
  /** `place`: what it belongs to; sealed for one place, it opens in no other. */
  seal(text: string, place: string): string;
  /** Undefined where it was sealed with another key or for another place, or was changed. */
  open(sealed: string, place: string): string | undefined;
};

export const sealingKeyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** AES-256-GCM; a key seals 2^32 texts before a nonce (random, NIST SP 800-38D 8.2.2) may come twice. */
export function createSealing(key: Uint8Array): Sealing {
  const algorithm = "aes-256-gcm";
  return {
    seal(text, place) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(place));
      const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64url");
    },
    open(sealed, place) {
      const bytes = Buffer.from(sealed, "base64url");
      if (bytes.length < nonceBytes + tagBytes) return undefined;
      const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
      try {
        const text = Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()]);
        return text.toString("utf8");
      } catch {
        return undefined;
      }
    },
  };
}
