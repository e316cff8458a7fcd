import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";

/** JSON under a signature. What is signed is `payload` exactly as it is sent, so that nobody has to write JSON alike. */
export type Sealed = {
  /** Base64 of the JSON's UTF-8 bytes. */
  payload: string;
  /** Base64 of Ed25519 over the purpose, a line feed, and those bytes. */
  signature: string;
  /** `keyIdOf` the key that signed. */
  keyId: string;
};

/** An Ed25519 key that signs; `publicKey` is base64 of its 32 bytes, as client configs carry it. */
export type SigningKey = { id: string; publicKey: string; privateKey: KeyObject };

/** What a client config pins. */
export type TrustedKeys = {
  serverId: string;
  /** Base64 of 32 bytes each. */
  publicKeys: readonly string[];
};

export type EnvelopeFault = "malformed" | "unknown-key" | "bad-signature";

/** Succession of keys: longer ones are not followed. */
const mostAnnouncements = 64;
const announcementPurpose = "sallyport key announcement 1";

export function newSigningKey(): SigningKey {
  return signingKeyOf(generateKeyPairSync("ed25519").privateKey);
}

/** From PKCS #8 in PEM. */
export function readSigningKey(pem: string): SigningKey {
  return signingKeyOf(createPrivateKey(pem));
}

function signingKeyOf(privateKey: KeyObject): SigningKey {
  const { x = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  const publicKey = Buffer.from(x, "base64url").toString("base64");
  return { id: keyIdOf(publicKey), publicKey, privateKey };
}

/** The first 16 hex digits of the key's SHA-256: for people and for finding the key; it proves nothing. */
export function keyIdOf(publicKey: string): string {
  return createHash("sha256").update(Buffer.from(publicKey, "base64")).digest("hex").slice(0, 16);
}

/** `purpose` keeps what is signed for one thing from being taken for another. */
export function seal(purpose: string, value: unknown, key: SigningKey): Sealed {
  const bytes = Buffer.from(JSON.stringify(value));
  const signature = sign(null, signedBytes(purpose, bytes), key.privateKey);
  return { payload: bytes.toString("base64"), signature: signature.toString("base64"), keyId: key.id };
}

/** An old key says which new one follows it: who trusts the old one trusts the new one from then on. */
export function announceKey(next: { serverId: string; publicKey: string; at: string }, by: SigningKey): Sealed {
  return seal(announcementPurpose, next, by);
}

/** Checks `text` (JSON of `Sealed`, with `announcements` where keys changed) and gives what was signed. */
export function openEnvelope(
  purpose: string,
  text: string,
  trusted: TrustedKeys,
): { payload: unknown; keyId: string } | { fault: EnvelopeFault; message: string } {
  const envelope = parsed(text) as (Sealed & { announcements?: unknown }) | undefined;
  if (!isSealed(envelope)) return { fault: "malformed", message: "the answer is not a signed bundle" };
  const keys = successors(trusted, envelope.announcements);
  const key = keys.find((one) => keyIdOf(one) === envelope.keyId);
  if (key === undefined) {
    const message = `it is signed with the key ${envelope.keyId.slice(0, 16)}, which neither the client config names nor a key of it announced; get a new client config`;
    return { fault: "unknown-key", message };
  }
  const payload = opened(purpose, envelope, key);
  if (payload === undefined) return { fault: "bad-signature", message: "the signature is wrong: it was changed" };
  return { payload, keyId: envelope.keyId };
}

/** The pinned keys, and those that one of them, or of those, announced for this server. */
function successors({ serverId, publicKeys }: TrustedKeys, announcements: unknown): string[] {
  const keys = publicKeys.filter((one) => Buffer.from(one, "base64").length === 32);
  if (!Array.isArray(announcements)) return keys;
  for (const announcement of announcements.slice(-mostAnnouncements)) {
    if (!isSealed(announcement)) continue;
    const by = keys.find((one) => keyIdOf(one) === announcement.keyId);
    if (by === undefined) continue;
    const next = opened(announcementPurpose, announcement, by) as Record<string, unknown> | undefined;
    const publicKey = next?.publicKey;
    if (next?.serverId !== serverId || typeof publicKey !== "string") continue;
    if (Buffer.from(publicKey, "base64").length === 32) keys.push(publicKey);
  }
  return keys;
}

function opened(purpose: string, { payload, signature }: Sealed, publicKey: string): object | undefined {
  const bytes = Buffer.from(payload, "base64");
  const x = Buffer.from(publicKey, "base64").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  if (!verify(null, signedBytes(purpose, bytes), key, Buffer.from(signature, "base64"))) return undefined;
  const value = parsed(bytes.toString("utf8"));
  return typeof value === "object" && value !== null ? value : undefined;
}

function signedBytes(purpose: string, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${purpose}\n`), bytes]);
}

function isSealed(value: unknown): value is Sealed {
  if (typeof value !== "object" || value === null) return false;
  const { payload, signature, keyId } = value as Sealed;
  return [payload, signature, keyId].every((field) => typeof field === "string");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
