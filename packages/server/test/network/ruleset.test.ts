import fc from "fast-check";
import { expect, test } from "vitest";
import { parseRange } from "../../src/core/address-range.ts";
import { tableName } from "../../src/network/linux/base-table.ts";
import { Ruleset } from "../../src/network/linux/ruleset.ts";
import type { NetworkClient, NetworkProfile } from "../../src/network/network.ts";

const profile: NetworkProfile = {
  id: "office",
  ranges: { ipv4: parseRange("10.42.0.0/20") ?? null, ipv6: parseRange("fd42:1::/64") ?? null },
  routes: ["10.99.0.0/16"],
  forwarding: true,
  nat: "masquerade",
  devices: ["sp-office"],
};

const aClient = (changes: Partial<NetworkClient>): NetworkClient => ({
  connectionId: "01890a5d-ac96-774b-bcce-b302099a8057",
  profileId: "office",
  userId: "alice",
  group: null,
  properties: {},
  device: "sp-office",
  ipv4: "10.42.0.7",
  ipv6: null,
  gateways: ["10.42.0.1"],
  routes: profile.routes,
  dns: [],
  ...changes,
});

function aRuleset(): Ruleset {
  const rules = new Ruleset("sallyport");
  rules.reset([profile]);
  rules.setVpnRanges([profile], []);
  rules.settle();
  return rules;
}

/** Policies' chains may come in any order. */
const lines = (rules: Ruleset) => rules.whole().split("\n").sort();

test("what is entered and removed again before it was written needs no writing", () => {
  const rules = aRuleset();
  rules.add(aClient({ properties: { "access_to.0": "+GROUP:eng" } }));
  rules.remove(aClient({}).connectionId);
  expect(rules.changes()).toBe("");
});

test("undoing brings back what is in the kernel, also who is of which group", () => {
  const rules = aRuleset();
  const member = aClient({ connectionId: "b", ipv4: "10.42.0.8", group: { name: "eng", properties: {}, subnets: [] } });
  rules.add(member);
  rules.settle();
  const before = lines(rules);
  rules.add(aClient({ properties: { "access_to.0": "+GROUP:eng" } }));
  rules.remove("b");
  rules.undo();
  expect(rules.changes()).toBe("");
  expect(lines(rules)).toEqual(before);
  rules.add(aClient({ properties: { "access_to.0": "+GROUP:eng" } }));
  expect(rules.changes()).toMatch(/add element inet sallyport group-[0-9a-f]{12}-4 \{ 10\.42\.0\.8 \}/);
});

test("an address has one holder: the last one it was given to", () => {
  const rules = aRuleset();
  rules.add(aClient({ connectionId: "old" }));
  rules.add(aClient({ connectionId: "new", device: "sp-other" }));
  expect(rules.owner("10.42.0.7")).toBe("new");
  expect(rules.client("old")).toBeUndefined();
  rules.remove("old");
  expect(rules.whole()).toContain('clients-4 { "sp-other" . 10.42.0.7 }');
});

test("no name, property or id becomes a word of nft", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom('x"; flush ruleset; #', "} accept", "\n flush ruleset", "$(reboot)", "+NAT:10.0.0.0/8", "+GROUP:a"),
  );
  const keys = fc.constantFrom("access_to.0", "access_to.1", "access_from.0", "conn_group");
  const dictionary = fc.dictionary(
    keys,
    fc.oneof(
      hostile,
      fc.tuple(fc.constantFrom("+GROUP:", "+USER:", "+NAT:"), hostile).map((parts) => parts.join("")),
    ),
  );
  const allowed =
    /^(add|delete|flush) (table|set|map|chain|rule|element) inet sallyport( [a-z0-9-]+)?( [A-Za-z0-9_@{}()"'.:;,!=/ -]*)?$/;
  fc.assert(
    fc.property(hostile, hostile, hostile, dictionary, dictionary, (id, userId, groupName, properties, ofGroup) => {
      const rules = aRuleset();
      const base = new Set(rules.whole().split("\n"));
      const group = { name: groupName, properties: ofGroup, subnets: [] };
      rules.add(aClient({ connectionId: id, userId, group, properties }));
      const written = rules.changes().split("\n").filter(Boolean);
      for (const line of written) {
        expect(line).toMatch(allowed);
        if (line.startsWith("flush")) expect(line).toMatch(/^flush chain/);
        if (!base.has(line)) expect(line).not.toContain("ruleset");
      }
    }),
    { numRuns: 500 },
  );
});

test("what cannot be an address or an interface is refused before anything is changed", () => {
  const rules = aRuleset();
  const before = rules.whole();
  expect(() => rules.add(aClient({ ipv4: "10.42.0.7 : accept" }))).toThrow("is no address");
  expect(() => rules.add(aClient({ device: 'x" }' }))).toThrow("network interface");
  expect(() => rules.add(aClient({ gateways: ["10.42.0.1; flush ruleset"] }))).toThrow("is no address");
  expect(() => rules.add(aClient({ profileId: "closed" }))).toThrow("no profile closed");
  expect(rules.whole()).toBe(before);
});

test("the usual data directory has the plain table, any other one of its own", () => {
  expect(tableName("/var/lib/sallyport")).toBe("sallyport");
  expect(tableName("/srv/vpn")).toMatch(/^sallyport-[0-9a-f]{6}$/);
  expect(tableName("/srv/vpn")).not.toBe(tableName("/srv/vpn2"));
});
