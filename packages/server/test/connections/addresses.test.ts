import { describe, expect, it } from "vitest";
import { addressWishes, assignment } from "../../src/connections/addresses.ts";
import type { ConnectionProfile } from "../../src/connections/profile.ts";
import { type AddressRange, parseRange } from "../../src/core/address-range.ts";

const range = (text: string): AddressRange => {
  const parsed = parseRange(text);
  if (!parsed) throw new Error(text);
  return parsed;
};

const profile: ConnectionProfile = {
  id: "office",
  ranges: { ipv4: range("10.42.0.0/20"), ipv6: range("fd42:1::/64") },
  routes: [],
  dns: [],
  sessionExpiryMs: null,
};
const eng = { name: "eng", properties: {}, subnets: ["10.50.0.0/24", "10.51.0.0/24"] };
const groupSubnets = [range("10.50.0.0/24"), range("10.51.0.0/24"), range("10.60.0.0/28"), range("10.42.8.0/24")];

const wishes = (properties: Record<string, string>, group: typeof eng | null = null) =>
  addressWishes({ properties, group, profile, groupSubnets });

describe("addressWishes", () => {
  it("takes the profile's ranges, without what belongs to groups", () => {
    expect(wishes({})).toEqual({
      ipv4: { ranges: [profile.ranges.ipv4], excluded: groupSubnets },
      ipv6: { ranges: [profile.ranges.ipv6], excluded: groupSubnets },
    });
  });

  it("takes a group's subnets in their order, and the profile's range for the family the group has none of", () => {
    expect(wishes({}, eng)).toEqual({
      ipv4: { ranges: [range("10.50.0.0/24"), range("10.51.0.0/24")], excluded: [] },
      ipv6: { ranges: [profile.ranges.ipv6], excluded: groupSubnets },
    });
  });

  it("fixes conn_ip in its own family only", () => {
    expect(wishes({ conn_ip: "10.42.3.4" })).toMatchObject({
      ipv4: { fixed: "10.42.3.4" },
      ipv6: { ranges: [profile.ranges.ipv6] },
    });
    expect(wishes({ conn_ip: "fd42:1::7" })).toMatchObject({ ipv6: { fixed: "fd42:1::7" } });
  });

  it("writes conn_ip canonically, so that one address has one holder", () => {
    expect(wishes({ conn_ip: "fd42:1:0:0:0:0:0:7" })).toMatchObject({ ipv6: { fixed: "fd42:1::7" } });
  });

  it.each([
    ["no address", "ten"],
    ["outside every pool", "192.0.2.9"],
    ["the server's own", "10.42.0.1"],
    ["the network address", "10.42.0.0"],
    ["the broadcast address", "10.42.15.255"],
    ["a group's gateway", "10.50.0.1"],
    ["the gateway of a group's subnet within the range", "10.42.8.1"],
    ["with a newline", "10.42.0.9\n"],
  ])("refuses conn_ip that is %s", (_what, conn_ip) => {
    expect(() => wishes({ conn_ip }, eng)).toThrow(expect.objectContaining({ code: "address-invalid" }));
  });
});

describe("assignment", () => {
  it("tells the prefix and gateway of the pool that the address lies in", () => {
    expect(assignment("10.51.0.9", eng, profile)).toEqual({
      address: "10.51.0.9",
      prefixLength: 24,
      gateway: "10.51.0.1",
    });
    expect(assignment("10.42.3.4", eng, profile)).toEqual({
      address: "10.42.3.4",
      prefixLength: 20,
      gateway: "10.42.0.1",
    });
    expect(assignment("fd42:1::9", null, profile)).toEqual({
      address: "fd42:1::9",
      prefixLength: 64,
      gateway: "fd42:1::1",
    });
    expect(assignment(null, eng, profile)).toBeNull();
  });
});
