import { createHash, createHmac, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { code, decodePacket, encodePacket, textAttribute } from "../../src/radius/packet.ts";
import { chapPassword, papPassword } from "../../src/radius/passwords.ts";
import { checkReply, signAccessRequest, signAccountingRequest } from "../../src/radius/signing.ts";
import { attr, attributesOf, replyTo } from "./udp-peer.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const secret = "xyzzy5461";
const codes = [code.accessAccept, code.accessReject, code.accessChallenge];

test("the example of RFC 2865 section 7.1: the password is hidden as there, and the answer is believed", () => {
  const authenticator = hex("0f 40 3f 94 73 97 80 57 bd 83 d5 cb 98 f4 22 7a");
  expect(papPassword("arctangent", secret, authenticator).value).toEqual(
    hex("0d be 70 8d 93 d4 13 ce 31 96 e4 3f 78 2a 0a ee"),
  );
  const bytes = hex(
    "02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf 9b 55 e0 b2 06 06 00 00 00 01 0f 06 00 00 00 00 0e 06 c0 a8 01 03",
  );
  const request = { identifier: 0, authenticator };
  const terms = { bytes, request, secret, codes };
  expect(checkReply({ ...terms, requireMessageAuthenticator: false })).toMatchObject({
    verdict: "genuine",
    reply: { code: code.accessAccept },
  });
  expect(checkReply({ ...terms, requireMessageAuthenticator: true })).toEqual({ verdict: "unsigned" });
});

/** What the server does with User-Password: the hiding, undone. */
function reveal(hidden: Buffer, key: string, authenticator: Buffer): string {
  const plain = Buffer.alloc(hidden.length);
  for (let at = 0; at < hidden.length; at += 16) {
    const before = at === 0 ? authenticator : hidden.subarray(at - 16, at);
    const pad = createHash("md5").update(key).update(before).digest();
    for (let i = 0; i < 16; i++) plain[at + i] = (hidden[at + i] ?? 0) ^ (pad[i] ?? 0);
  }
  return plain.toString().replace(/\0+$/, "");
}

test("a server that knows the secret reads the password, whatever it is", () => {
  const password = fc
    .string({ unit: "binary", maxLength: 40 })
    .filter((text) => text.isWellFormed() && !text.includes("\0"));
  fc.assert(
    fc.property(password, fc.string({ minLength: 1 }), (text, key) => {
      fc.pre(Buffer.byteLength(text) <= 128);
      const authenticator = randomBytes(16);
      const { value } = papPassword(text, key, authenticator);
      expect(value.length % 16).toBe(0);
      expect(reveal(value, key, authenticator)).toBe(text);
    }),
  );
  expect(() => papPassword("x".repeat(129), secret, randomBytes(16))).toThrow(RangeError);
});

test("CHAP is the MD5 over identifier, password and challenge", () => {
  const challenge = randomBytes(16);
  const [given, password] = chapPassword("pässword", challenge, 7);
  expect(given).toEqual({ type: 60, value: challenge });
  const digest = createHash("md5")
    .update(Buffer.concat([Buffer.of(7), Buffer.from("pässword"), challenge]))
    .digest();
  expect(password).toEqual({ type: 3, value: Buffer.concat([Buffer.of(7), digest]) });
});

test("a request carries its Message-Authenticator first, over the whole packet", () => {
  const authenticator = randomBytes(16);
  const attributes = [textAttribute(1, "alice"), textAttribute(32, "vpn")];
  const bytes = signAccessRequest({ identifier: 9, authenticator, attributes, secret });
  expect(bytes.subarray(20, 22)).toEqual(Buffer.of(80, 18));
  const zeroed = Buffer.from(bytes).fill(0, 22, 38);
  expect(bytes.subarray(22, 38)).toEqual(createHmac("md5", secret).update(zeroed).digest());
  expect(decodePacket(bytes).attributes.slice(1)).toEqual(attributes);
});

test("an accounting request's authenticator is the MD5 over the packet and the secret", () => {
  const { bytes, authenticator } = signAccountingRequest({
    identifier: 3,
    attributes: [textAttribute(44, "s")],
    secret,
  });
  const zeroed = Buffer.from(bytes).fill(0, 4, 20);
  expect(createHash("md5").update(zeroed).update(secret).digest()).toEqual(authenticator);
  expect(bytes.subarray(4, 20)).toEqual(authenticator);
});

const authenticator = randomBytes(16);
const sent = signAccessRequest({ identifier: 42, authenticator, attributes: [textAttribute(1, "alice")], secret });
const request = { identifier: 42, authenticator };
const judge = (bytes: Buffer, requireMessageAuthenticator = true) =>
  checkReply({ bytes, request, secret, codes, requireMessageAuthenticator }).verdict;
const accept = (more: Partial<Parameters<typeof replyTo>[1]> = {}) => replyTo(sent, { code: 2, secret, ...more });

test("a reply signed for this request is genuine, wherever its Message-Authenticator stands", () => {
  expect(judge(accept({ attributes: [attr(18, "hello")] }))).toBe("genuine");
  const last = Buffer.concat([Buffer.of(2, 42, 0, 0), authenticator, attr(18, "hello"), attr(80, Buffer.alloc(16))]);
  last.writeUInt16BE(last.length, 2);
  createHmac("md5", secret)
    .update(last)
    .digest()
    .copy(last, last.length - 16);
  createHash("md5").update(last).update(secret).digest().copy(last, 4);
  expect(judge(last)).toBe("genuine");
});

test("a reply signed with another secret, or with none, is forged", () => {
  expect(judge(accept({ secret: "another" }))).toBe("forged");
  const unsigned = encodePacket({ code: 2, identifier: 42, authenticator, attributes: [] });
  expect(judge(unsigned)).toBe("forged");
  expect(judge(unsigned, false)).toBe("forged");
});

test("a reply that was genuine for an earlier request is forged for this one", () => {
  const earlier = signAccessRequest({ identifier: 42, authenticator: randomBytes(16), attributes: [], secret });
  expect(judge(replyTo(earlier, { code: 2, secret }))).toBe("forged");
  expect(judge(replyTo(earlier, { code: 2, secret, bare: true }), false)).toBe("forged");
});

test("a reply with another identifier or a code that answers nothing is another's", () => {
  expect(judge(accept({ identifier: 43 }))).toBe("other");
  for (const wrong of [1, 4, 5, 12, 255]) expect(judge(accept({ code: wrong }))).toBe("other");
});

test("without Message-Authenticator a reply is refused unless this was relaxed, and a wrong one is never believed", () => {
  expect(judge(accept({ bare: true }))).toBe("unsigned");
  expect(judge(accept({ bare: true }), false)).toBe("genuine");
  for (const signature of [Buffer.alloc(16, 7), Buffer.alloc(15), Buffer.alloc(0)]) {
    const lying = accept({ bare: true, attributes: [attr(80, signature)] });
    expect(judge(lying)).toBe("forged");
    expect(judge(lying, false)).toBe("forged");
  }
  const doubled = accept({ attributes: [attr(80, Buffer.alloc(16))] });
  expect(judge(doubled)).toBe("forged");
});

test("no change to a genuine reply, of any byte anywhere, leaves it genuine", () => {
  const genuine = accept({ attributes: [attr(25, "engineers"), attr(8, Buffer.of(10, 0, 0, 1))] });
  fc.assert(
    fc.property(fc.nat(genuine.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Buffer.from(genuine);
      changed[at] = (changed[at] ?? 0) ^ change;
      expect(judge(changed)).not.toBe("genuine");
      expect(judge(changed, false)).not.toBe("genuine");
    }),
    { numRuns: 1000 },
  );
  for (let length = 0; length < genuine.length; length++) {
    expect(judge(genuine.subarray(0, length), false)).toBe("malformed");
  }
});

test("bytes of any kind are never genuine", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      const likely = Buffer.concat([Buffer.of(2, 42), Buffer.from(bytes)]);
      if (likely.length >= 4) likely.writeUInt16BE(likely.length, 2);
      expect(judge(likely, false)).not.toBe("genuine");
    }),
    { numRuns: 1000 },
  );
});

test("bytes after the reply do not matter, as they are not part of it", () => {
  expect(judge(Buffer.concat([accept(), Buffer.from("padding")]))).toBe("genuine");
  expect(attributesOf(sent, 1)).toEqual([Buffer.from("alice")]);
});
