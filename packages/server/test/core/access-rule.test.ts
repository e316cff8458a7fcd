import fc from "fast-check";
import { expect, test } from "vitest";
import { accessRules, parseAccessRule } from "../../src/core/access-rule.ts";

const network = (text: string) => {
  const rule = parseAccessRule(text);
  return rule?.kind === "network" ? { cidr: rule.range.cidr, services: rule.services, nat: rule.nat } : rule;
};

test.each([
  ["+NAT:10.0.0.0/8", { cidr: "10.0.0.0/8", services: null, nat: true }],
  ["+ROUTE:192.0.2.5/32", { cidr: "192.0.2.5/32", services: null, nat: false }],
  ["+SUBNET:10.1.2.3/16", { cidr: "10.1.0.0/16", services: null, nat: null }],
  [" 10.1.0.0/16 ", { cidr: "10.1.0.0/16", services: null, nat: null }],
  ["10.1.2.3", { cidr: "10.1.2.3/32", services: null, nat: null }],
  ["+NAT:fd00::/8", { cidr: "fd00::/8", services: null, nat: true }],
  ["+NAT:fd00::1", { cidr: "fd00::1/128", services: null, nat: true }],
  ["+NAT:0.0.0.0/0", { cidr: "0.0.0.0/0", services: null, nat: true }],
])("%j is a network", (text, expected) => {
  expect(network(text)).toEqual(expected);
});

test.each([
  ["+NAT:192.0.2.5/32:tcp/80", [{ protocol: "tcp", ports: { first: 80, last: 80 } }]],
  ["+ROUTE:192.0.2.5:udp/5000-5010", [{ protocol: "udp", ports: { first: 5000, last: 5010 } }]],
  ["192.0.2.5/32:TCP/443, udp/443", ["tcp", "udp"].map((protocol) => ({ protocol, ports: { first: 443, last: 443 } }))],
  ["+NAT:fd00::/8:tcp", [{ protocol: "tcp", ports: null }]],
  ["10.0.0.0/8:icmp", [{ protocol: "icmp", type: null }]],
  ["10.0.0.0/8:icmp/echo-request", [{ protocol: "icmp", type: "echo-request" }]],
  ["10.0.0.0/8:icmp/8", [{ protocol: "icmp", type: "echo-request" }]],
])("%j opens services", (text, services) => {
  expect(network(text)).toMatchObject({ services });
});

test.each([
  ["+GROUP:Engineers: North", { kind: "group", name: "Engineers: North" }],
  ["+USER:alice@example.org", { kind: "user", name: "alice@example.org" }],
  ["+ALL_VPN_CLIENTS", { kind: "all-clients" }],
  ["+ALL_S2C_SUBNETS", { kind: "profile-networks" }],
])("%j names clients or the profile's networks", (text, expected) => {
  expect(parseAccessRule(text)).toEqual(expected);
});

test.each([
  "",
  "+",
  "+NAT:",
  "+GROUP:",
  "+NAT:10.0.0.0/33",
  "+NAT:example.org",
  "+NAT:10.0.0.0/8:sctp/1",
  "+NAT:10.0.0.0/8:tcp/0",
  "+NAT:10.0.0.0/8:tcp/65536",
  "+NAT:10.0.0.0/8:tcp/90-80",
  "+NAT:10.0.0.0/8:tcp/80,",
  "+NAT:10.0.0.0/8:tcp/80;",
  "+NAT:10.0.0.0/8; flush ruleset",
  "+nat:10.0.0.0/8",
  "+WORLD:10.0.0.0/8",
  "fe80::1%eth0",
])("%j is no rule", (text) => {
  expect(parseAccessRule(text)).toBeUndefined();
});

test("rules of several records stand side by side, once each; blank ones are none, unreadable ones are told", () => {
  const user = { "access_to.0": "+NAT:10.0.0.0/8", "access_to.1": " ", "access_from.0": "+ALL_VPN_CLIENTS" };
  const group = {
    "access_to.0": "+ROUTE:192.0.2.0/24",
    "access_to.12": "+NAT:10.0.0.0/8",
    "access_to.x": "+NAT:1.0.0.0/8",
    "access_to.3": "nonsense",
  };
  const { rules, unreadable } = accessRules("access_to", [user, group]);
  expect(rules.map((rule) => rule.kind === "network" && rule.range.cidr)).toEqual(["10.0.0.0/8", "192.0.2.0/24"]);
  expect(unreadable).toEqual(["nonsense"]);
  expect(accessRules("access_from", [user, group])).toEqual({ rules: [{ kind: "all-clients" }], unreadable: [] });
});

test("whatever is read of a text has canonical parts", () => {
  const word = fc.oneof(
    fc.string(),
    fc.ipV4(),
    fc.ipV6(),
    fc.constantFrom("+NAT:", "+SUBNET:", "/8", "/33", ":tcp/80", ",", ";", "}"),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (words) => {
      const rule = parseAccessRule(words.join(""));
      if (rule?.kind !== "network") return;
      expect(rule.range.cidr).toMatch(/^[0-9a-f.:]+\/\d+$/);
      for (const service of rule.services ?? []) expect(["tcp", "udp", "icmp"]).toContain(service.protocol);
    }),
    { numRuns: 2_000 },
  );
});
