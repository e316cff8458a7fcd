import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import {
  attribute,
  code,
  decodePacket,
  encodePacket,
  headerBytes,
  packetLength,
  type RadiusAttribute,
  type RadiusPacket,
} from "./packet.ts";

/** What a request needs to be remembered by, to tell its replies from all others. */
export type SentRequest = { identifier: number; authenticator: Buffer };

const zeros = Buffer.alloc(16);

/**
 * An Access-Request with its Message-Authenticator (RFC 3579 section 3.2), which stands first, where the attack on
 * MD5 against RADIUS (CVE-2024-3596) cannot put anything before it.
 */
export function signAccessRequest(
  request: SentRequest & { attributes: readonly RadiusAttribute[]; secret: string },
): Buffer {
  const { identifier, authenticator, attributes, secret } = request;
  const unsigned = { type: attribute.messageAuthenticator, value: zeros };
  const bytes = encodePacket({
    code: code.accessRequest,
    identifier,
    authenticator,
    attributes: [unsigned, ...attributes],
  });
  createHmac("md5", secret)
    .update(bytes)
    .digest()
    .copy(bytes, headerBytes + 2);
  return bytes;
}

/** An Accounting-Request with its Request Authenticator (RFC 2866 section 3), which is known only now. */
export function signAccountingRequest(request: {
  identifier: number;
  attributes: readonly RadiusAttribute[];
  secret: string;
}): { bytes: Buffer; authenticator: Buffer } {
  const { identifier, attributes, secret } = request;
  const packet = { code: code.accountingRequest, identifier, authenticator: zeros, attributes: [...attributes] };
  const bytes = encodePacket(packet);
  const authenticator = createHash("md5").update(bytes).update(secret).digest();
  authenticator.copy(bytes, 4);
  return { bytes, authenticator };
}

/**
 * What a datagram is to a request. `malformed`, `other` (answers another request) and `forged` (not signed with the
 * secret for this request) are as if they had never come. `unsigned` has a Response Authenticator, but not the
 * Message-Authenticator that it must have: the server's settings are to be mended, or it is forged all the same.
 */
export type ReplyVerdict =
  | { verdict: "genuine"; reply: RadiusPacket }
  | { verdict: "malformed" | "other" | "forged" | "unsigned" };

export function checkReply(options: {
  bytes: Buffer;
  request: SentRequest;
  secret: string;
  /** The codes that can answer the request. */
  codes: readonly number[];
  requireMessageAuthenticator: boolean;
}): ReplyVerdict {
  const { request, secret } = options;
  let bytes: Buffer;
  let reply: RadiusPacket;
  try {
    bytes = options.bytes.subarray(0, packetLength(options.bytes));
    reply = decodePacket(bytes);
  } catch {
    return { verdict: "malformed" };
  }
  if (reply.identifier !== request.identifier || !options.codes.includes(reply.code)) return { verdict: "other" };
  const answering = Buffer.from(bytes);
  request.authenticator.copy(answering, 4);
  const expected = createHash("md5").update(answering).update(secret).digest();
  if (!timingSafeEqual(expected, reply.authenticator)) return { verdict: "forged" };

  const signatures = reply.attributes.filter(({ type }) => type === attribute.messageAuthenticator);
  const [signature] = signatures;
  if (signature === undefined) {
    return options.requireMessageAuthenticator ? { verdict: "unsigned" } : { verdict: "genuine", reply };
  }
  if (signatures.length > 1 || signature.value.length !== 16) return { verdict: "forged" };
  zeros.copy(answering, offsetOf(reply, signature) + 2);
  const signed = createHmac("md5", secret).update(answering).digest();
  return timingSafeEqual(signed, signature.value) ? { verdict: "genuine", reply } : { verdict: "forged" };
}

function offsetOf(packet: RadiusPacket, wanted: RadiusAttribute): number {
  let at = headerBytes;
  for (const one of packet.attributes) {
    if (one === wanted) break;
    at += 2 + one.value.length;
  }
  return at;
}
