import { describe, expect, it } from "vitest";
import type { ConnectionProfile } from "../../src/connections/profile.ts";
import { routesAndDns } from "../../src/connections/routes.ts";
import { parseRange } from "../../src/core/address-range.ts";

const profile: ConnectionProfile = {
  id: "office",
  ranges: { ipv4: parseRange("10.42.0.0/20") ?? null, ipv6: parseRange("fd42:1::/64") ?? null },
  routes: ["10.0.0.0/8"],
  dns: ["10.0.0.53", "fd00::53"],
  sessionExpiryMs: null,
};
const told = (properties: Record<string, string>, group: Record<string, string> | null = null) =>
  routesAndDns({ properties, group: group && { name: "eng", properties: group, subnets: [] }, profile });

describe("what a client sends through the tunnel", () => {
  it("is what the profile says", () => expect(told({})).toEqual({ routes: ["10.0.0.0/8"], dns: profile.dns }));

  it("is also what its own and its group's rules name, each once", () => {
    const rules = { "access_to.0": "+NAT:192.0.2.0/24:tcp/80", "access_to.1": "0.0.0.0/0" };
    const { routes } = told(rules, { "access_to.0": "198.51.100.7", "access_to.1": "10.0.0.0/8" });
    expect(routes.toSorted()).toEqual(["10.0.0.0/8", "192.0.2.0/24", "198.51.100.7/32"]);
  });

  it("is everything of both families where prop_reroute_gw_override is global", () => {
    expect(told({ prop_reroute_gw_override: "global" }).routes).toEqual(["0.0.0.0/0", "::/0", "10.0.0.0/8"]);
  });

  it("is never everything where it is disable", () => {
    const everything = { ...profile, routes: ["0.0.0.0/0", "10.0.0.0/8"] };
    const properties = { prop_reroute_gw_override: "disable" };
    expect(routesAndDns({ properties, group: null, profile: everything }).routes).toEqual(["10.0.0.0/8"]);
  });

  it("is nothing but questions to the resolvers where it is dns_only", () => {
    expect(told({ prop_reroute_gw_override: "dns_only" })).toEqual({
      routes: ["10.0.0.53/32", "fd00::53/128"],
      dns: profile.dns,
    });
  });
});
