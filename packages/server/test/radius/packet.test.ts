import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decodePacket, encodePacket, MalformedPacket, type RadiusPacket } from "../../src/radius/packet.ts";
import { decodeVendorSpecific, encodeVendorSpecific } from "../../src/radius/vendor.ts";

const bytes = (size: { minLength?: number; maxLength: number }) =>
  fc.uint8Array(size).map((array) => Buffer.from(array));

const packets: fc.Arbitrary<RadiusPacket> = fc.record({
  code: fc.nat(255),
  identifier: fc.nat(255),
  authenticator: bytes({ minLength: 16, maxLength: 16 }),
  attributes: fc.array(fc.record({ type: fc.integer({ min: 1, max: 255 }), value: bytes({ maxLength: 253 }) }), {
    maxLength: 15,
  }),
});

test("a packet that is written is read as it was", () => {
  fc.assert(
    fc.property(packets, (packet) => {
      expect(decodePacket(encodePacket(packet))).toEqual(packet);
    }),
  );
});

test("padding after a packet is no part of it", () => {
  fc.assert(
    fc.property(packets, bytes({ maxLength: 40 }), (packet, padding) => {
      expect(decodePacket(Buffer.concat([encodePacket(packet), padding]))).toEqual(packet);
    }),
  );
});

test("a packet cut short anywhere is malformed", () => {
  fc.assert(
    fc.property(packets, fc.nat(), (packet, at) => {
      const whole = encodePacket(packet);
      expect(() => decodePacket(whole.subarray(0, at % whole.length))).toThrow(MalformedPacket);
    }),
  );
});

test("bytes of any kind are read as a packet or are malformed, and what is read is what is there", () => {
  const anything = bytes({ maxLength: 200 });
  // With a length that fits, so that the attributes are looked at too.
  const nearly = bytes({ minLength: 20, maxLength: 200 }).map((one) => {
    one.writeUInt16BE(one.length, 2);
    return one;
  });
  fc.assert(
    fc.property(fc.oneof(anything, nearly), (any) => {
      let packet: RadiusPacket;
      try {
        packet = decodePacket(any);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedPacket);
        return;
      }
      if (packet.attributes.some(({ type }) => type === 0)) return;
      expect(encodePacket(packet)).toEqual(any.subarray(0, any.readUInt16BE(2)));
    }),
    { numRuns: 2000 },
  );
});

const header = (length: number) => `0200${length.toString(16).padStart(4, "0")}${"00".repeat(16)}`;

test.each([
  ["an empty datagram", ""],
  ["a header that is cut", "0200001400"],
  ["a length below the header", header(19)],
  ["a length beyond the datagram", header(21)],
  ["a length beyond what RADIUS allows", header(5000) + "00".repeat(4980)],
  ["an attribute without a length", `${header(21)}01`],
  ["an attribute of length 0", `${header(22)}0100`],
  ["an attribute of length 1", `${header(22)}0101`],
  ["an attribute reaching beyond the packet", `${header(23)}010461`],
])("%s is malformed", (_what, hex) => {
  expect(() => decodePacket(Buffer.from(hex, "hex"))).toThrow(MalformedPacket);
});

test("what no packet can carry is refused when it is written", () => {
  const packet = { code: 1, identifier: 0, authenticator: Buffer.alloc(16) };
  const of = (...sizes: number[]) => sizes.map((size) => ({ type: 1, value: Buffer.alloc(size) }));
  expect(() => encodePacket({ ...packet, attributes: of(254) })).toThrow(RangeError);
  expect(() => encodePacket({ ...packet, attributes: of(...Array(17).fill(250)) })).toThrow(RangeError);
  expect(() => encodePacket({ ...packet, attributes: [{ type: 256, value: Buffer.alloc(0) }] })).toThrow(RangeError);
  expect(() => encodePacket({ ...packet, authenticator: Buffer.alloc(15), attributes: [] })).toThrow(RangeError);
});

test("a vendor's values are read as they were written, several in one attribute too", () => {
  fc.assert(
    fc.property(
      fc.nat(0xffffffff),
      fc.array(fc.record({ type: fc.nat(255), value: bytes({ maxLength: 20 }) }), { minLength: 1, maxLength: 8 }),
      (vendor, values) => {
        const parts = values.map((one) => encodeVendorSpecific({ vendor, ...one }).value.subarray(4));
        const head = Buffer.alloc(4);
        head.writeUInt32BE(vendor);
        expect(decodeVendorSpecific(Buffer.concat([head, ...parts]))).toEqual(
          values.map((one) => ({ vendor, ...one })),
        );
      },
    ),
  );
});

test("a vendor's attribute in another form is not guessed at", () => {
  fc.assert(
    fc.property(bytes({ maxLength: 60 }), (any) => {
      const values = decodeVendorSpecific(any);
      if (values === undefined) return;
      const total = values.reduce((sum, { value }) => sum + 2 + value.length, 4);
      expect(total).toBe(any.length);
    }),
  );
  expect(decodeVendorSpecific(Buffer.from("00000009010a61", "hex"))).toBeUndefined();
});
