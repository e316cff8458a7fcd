import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AddressRange,
  addressOf,
  clientSpans,
  gatewayOf,
  parseAddress,
  parseRange,
  rangeHolds,
} from "../../src/core/address-range.ts";

const range = (text: string) => {
  const parsed = parseRange(text);
  if (!parsed) throw new Error(`${text} is no range`);
  return parsed;
};

/** The addresses of the spans, one by one. */
function* clientAddresses(pool: AddressRange, after: string | null, excluded: AddressRange[] = []) {
  for (const [from, to] of clientSpans(pool, after, excluded)) {
    for (let value = from; value <= to; value += 1n) yield addressOf(pool.family, value);
  }
}

describe("parseAddress", () => {
  it.each([
    ["10.42.0.1", "10.42.0.1"],
    ["fd42:1:0:0::5", "fd42:1::5"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["FD42::A", "fd42::a"],
  ])("reads %s as %s", (text, canonical) => expect(parseAddress(text)).toBe(canonical));

  it.each(["", "10.42", "0x0a.1", "10.42.0.256", "fe80::1%eth0", "10.0.0.1/24", "localhost", "1", "10.42.0.1\n"])(
    "refuses %j",
    (text) => expect(parseAddress(text)).toBeUndefined(),
  );
});

describe("parseRange", () => {
  it("clears the host bits", () => expect(range("10.42.7.9/20").cidr).toBe("10.42.0.0/20"));
  it.each(["10.42.0.0", "10.42.0.0/33", "10.42/16", "fd42::/129", "x/8", ""])("refuses %j", (text) =>
    expect(parseRange(text)).toBeUndefined(),
  );
});

describe("the addresses for clients", () => {
  it("leaves out the network, the server and the broadcast address", () => {
    expect([...clientAddresses(range("192.0.2.0/29"), null)]).toEqual([
      "192.0.2.2",
      "192.0.2.3",
      "192.0.2.4",
      "192.0.2.5",
      "192.0.2.6",
    ]);
    expect(gatewayOf(range("192.0.2.0/29"))).toBe("192.0.2.1");
  });

  it("begins after the last one given and goes round once", () => {
    expect([...clientAddresses(range("192.0.2.0/29"), "192.0.2.4")]).toEqual([
      "192.0.2.5",
      "192.0.2.6",
      "192.0.2.2",
      "192.0.2.3",
      "192.0.2.4",
    ]);
  });

  it("are counted in spans, so that a /64 is no work", () => {
    const [first] = clientAddresses(range("fd42:1::/64"), null);
    expect(first).toBe("fd42:1::2");
  });

  it("gives nothing where there is no room", () => {
    expect([...clientAddresses(range("192.0.2.0/30"), null)]).toEqual(["192.0.2.2"]);
    expect([...clientAddresses(range("192.0.2.0/31"), null)]).toEqual([]);
    expect([...clientAddresses(range("192.0.2.0/32"), null)]).toEqual([]);
  });

  it("gives each address of a range once, whatever the cursor and the holes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 255 }),
        fc.integer({ min: 26, max: 32 }),
        fc.integer({ min: 0, max: 255 }),
        (last, bits, hole) => {
          const pool = range("198.51.100.0/24");
          const excluded = [range(`198.51.100.${hole}/${bits}`)];
          const given = [...clientAddresses(pool, `198.51.100.${last}`, excluded)];
          const expected = Array.from({ length: 253 }, (_, i) => `198.51.100.${i + 2}`).filter(
            (address) => !excluded.some((one) => rangeHolds(one, address)),
          );
          expect(new Set(given).size).toBe(given.length);
          expect(new Set(given)).toEqual(new Set(expected));
        },
      ),
    );
  });
});
