import * as fc from "fast-check";
import { expect, test } from "vitest";
import { replyValues } from "../../src/radius/reply-values.ts";
import { encodeVendorSpecific } from "../../src/radius/vendor.ts";

const of = (...attributes: [type: number, value: Buffer | string][]) =>
  replyValues({
    code: 2,
    identifier: 0,
    authenticator: Buffer.alloc(16),
    attributes: attributes.map(([type, value]) => ({ type, value: Buffer.from(value as string) })),
  });
const vendor = (id: number, type: number, value: Buffer | string): [number, Buffer] => [
  26,
  encodeVendorSpecific({ vendor: id, type, value: Buffer.from(value as string) }).value,
];
const hex = (text: string) => Buffer.from(text, "hex");

test.each<[string, number, Buffer | string, string]>([
  ["an address", 8, hex("0a000001"), "10.0.0.1"],
  ["a number", 27, hex("00000e10"), "3600"],
  ["a number above 2^31", 27, hex("ffffffff"), "4294967295"],
  ["text", 11, "engineers", "engineers"],
  ["text that is not ASCII", 18, "Grüße", "Grüße"],
  ["text of several lines", 18, "a\r\nb\tc", "a\r\nb\tc"],
  ["Class that is text", 25, "OU=eng;", "OU=eng;"],
  ["Class that is bytes", 25, hex("ff00fe"), "0xff00fe"],
  ["a NUL", 11, "a\0", "0x6100"],
  ["an empty value", 11, "", ""],
  ["an IPv6 address", 168, hex("20010db8000000000000000000000001"), "2001:db8::1"],
  ["an IPv6 prefix", 97, hex("004020010db800000000"), "2001:db8::/64"],
  ["an address of the wrong length", 8, hex("0a0000"), "0x0a0000"],
  ["a number of the wrong length", 27, hex("0e10"), "0x0e10"],
  ["a tagged number", 64, hex("0100000d"), "13"],
  ["tagged text", 81, "\x01vlan20", "vlan20"],
  ["text without a tag", 81, "vlan20", "vlan20"],
  ["an attribute that nobody knows", 240, "x", "x"],
])("%s is written as scripts expect it", (_what, type, value, text) => {
  expect(of([type, value])).toEqual({ [type]: [text] });
});

test("several values of one number come as a list in their order", () => {
  expect(of([11, "one"], [25, "c"], [11, "two"])).toEqual({ 11: ["one", "two"], 25: ["c"] });
});

test("vendors' values name the vendor and the number", () => {
  expect(of(vendor(9, 1, "shell:priv-lvl=15"), vendor(14122, 3, hex("00000001")))).toEqual({
    26: ["9.1=shell:priv-lvl=15", "14122.3=0x00000001"],
  });
  expect(of([26, hex("0000000901ff")])).toEqual({ 26: ["0x0000000901ff"] });
});

test("encryption keys are left out", () => {
  expect(
    of(vendor(311, 16, "send key"), vendor(311, 17, "receive key"), vendor(311, 26, "\x01S=00"), [
      69,
      "\x01\x80\x00key",
    ]),
  ).toEqual({});
});

test("whatever the bytes, values are text without control characters other than line ends", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ maxLength: 253 }), (type, bytes) => {
      for (const text of Object.values(of([type, Buffer.from(bytes)])).flat()) {
        expect(text.isWellFormed()).toBe(true);
        expect(text).not.toMatch(/[^\P{Cc}\t\r\n]/u);
      }
    }),
    { numRuns: 2000 },
  );
});
