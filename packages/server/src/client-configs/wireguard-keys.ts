import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { SallyportError } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import { Secret } from "../core/secret.ts";

/** Curve25519 keys as `wg` writes them: 32 bytes in base64. */
export type KeyPair = { privateKey: Secret; publicKey: string };

export function newKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  return {
    privateKey: new Secret(base64(privateKey.export({ format: "jwk" }).d)),
    publicKey: base64(publicKey.export({ format: "jwk" }).x),
  };
}

export function newPresharedKey(): Secret {
  return new Secret(randomBytes(32).toString("base64"));
}

export function publicKeyOf(privateKey: Secret): string {
  // RFC 8410: what stands before the 32 bytes of an X25519 private key in PKCS #8.
  const prefix = Buffer.from("302e020100300506032b656e04220420", "hex");
  const key = createPrivateKey({
    key: Buffer.concat([prefix, Buffer.from(privateKey.reveal(), "base64")]),
    format: "der",
    type: "pkcs8",
  });
  return base64(createPublicKey(key).export({ format: "jwk" }).x);
}

/** Whether it is written as `wg` writes a key: any other spelling would name another device. */
export function isKey(text: string): boolean {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 32 && bytes.toString("base64") === text && bytes.some((byte) => byte !== 0);
}

/** An interface's own private key, made where there is none; devices know its public half for as long as they work. */
export async function serverKey(file: string): Promise<Secret> {
  const existing = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (existing === undefined) {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    // Whole or not at all, and never in another's place.
    const written = `${file}.${newId()}`;
    await writeFile(written, `${newKeyPair().privateKey.reveal()}\n`, { mode: 0o600, flush: true });
    await link(written, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    await rm(written);
    return await serverKey(file);
  }
  const key = existing.trim();
  if (!isKey(key))
    throw new SallyportError("config-invalid", `${file} holds no WireGuard key; restore it from a backup`);
  return new Secret(key);
}

function base64(base64url: string | undefined): string {
  return Buffer.from(base64url ?? "", "base64url").toString("base64");
}
