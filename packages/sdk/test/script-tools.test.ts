import { describe, expect, test } from "vitest";
import {
  addressIsIn,
  allow,
  compareVersions,
  definePostAuth,
  deny,
  firstMatch,
  ldapFilter,
  versionIn,
  versionIsIn,
} from "../typescript/index.ts";

test("a script is declared with a function, or with options and a function", () => {
  const decide = () => allow();
  expect(definePostAuth(decide)).toMatchObject({ options: {}, decide });
  expect(definePostAuth({ authNull: true }, decide)).toMatchObject({ options: { authNull: true }, decide });
  expect(() => definePostAuth({} as never)).toThrow("takes a function, or options and a function");
});

test("answers are plain objects", () => {
  expect(allow()).toEqual({ decision: "allow" });
  expect(allow({ group: "eng" })).toEqual({ decision: "allow", group: "eng" });
  expect(deny("no")).toEqual({ decision: "deny", reason: "no" });
  expect(deny({ reason: "no", clientReason: "sorry" })).toEqual({
    decision: "deny",
    reason: "no",
    clientReason: "sorry",
  });
  // What somebody else decided is not taken over by spreading it.
  expect(allow({ ...({ decision: "deny" } as object) })).toEqual({ decision: "allow" });
});

test.each([
  ["alice", "(uid=alice)"],
  ["*", "(uid=\\2a)"],
  ["a)(uid=*", "(uid=a\\29\\28uid=\\2a)"],
  ["a\\b", "(uid=a\\5cb)"],
  ["a\0b", "(uid=a\\00b)"],
  ["Zoë", "(uid=Zoë)"],
  [5, "(uid=5)"],
])("a value in an LDAP filter stays a value: %j", (value, filter) => {
  expect(ldapFilter`(uid=${value})`).toBe(filter);
});

describe("versions", () => {
  test.each([
    ["3.4.1", "3.4.1"],
    ["2.6_git", "2.6"],
    ["net.openvpn.connect.ios 3.2.2-4507", "3.2.2"],
    ["OpenVPN_GUI_11", "11"],
    ["OCWindows_3.4.4-3412", "3.4.4"],
    ["none at all", undefined],
    ["", undefined],
  ])("are found in what clients say of themselves: %s", (text, version) => {
    expect(versionIn(text)).toBe(version);
  });

  test.each([
    ["3.10", "3.9", 1],
    ["3.9", "3.10", -1],
    ["2.6", "2.6.0", 0],
    ["2.6.1", "2.6", 1],
    ["10.0.19045", "10.0.2", 1],
  ])("are compared part by part: %s and %s", (a, b, order) => {
    expect(Math.sign(compareVersions(a, b))).toBe(order);
  });

  test.each([
    ["2.6.14", ">=2.6", true],
    ["2.5.9", ">=2.6", false],
    ["2.9", ">=2.6 <3", true],
    ["3.0", ">=2.6 <3", false],
    ["1.0", "=1", true],
    ["1.0", ">1", false],
    ["1.0", "<=1.0.0", true],
  ])("are in ranges: %s in %s", (version, range, isIn) => {
    expect(versionIsIn(version, range)).toBe(isIn);
  });

  test.each(["", "2.6", ">= 2.6", "~2", ">=2.6,<3", ">=a"])("are in no range that is none: %j", (range) => {
    expect(() => versionIsIn("1", range)).toThrow("is no range of versions");
    expect(() => compareVersions("1", range.replace(/^2.6$/, "2.x"))).toThrow("is no version");
  });
});

describe("networks", () => {
  const networks = ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"];
  test.each([
    ["192.0.2.255", true],
    ["192.0.3.0", false],
    ["198.51.100.7", true],
    ["198.51.100.8", false],
    ["::ffff:192.0.2.1", true],
    ["2001:db8:ffff::1", true],
    ["2001:db9::1", false],
    ["2001:db8::1%eth0", true],
    ["nonsense", false],
    ["", false],
  ])("hold an address or do not: %s", (address, isIn) => {
    expect(addressIsIn(address, networks)).toBe(isIn);
    expect(addressIsIn(address, networks)).toBe(isIn);
  });

  test("hold everybody where they are everything, and nobody where there are none", () => {
    expect([addressIsIn("192.0.2.1", ["0.0.0.0/0"]), addressIsIn("::1", ["::/0"])]).toEqual([true, true]);
    expect([addressIsIn("192.0.2.1", ["::/0"]), addressIsIn("192.0.2.1", [])]).toEqual([false, false]);
  });

  test.each(["192.0.2.0/33", "2001:db8::/129", "192.0.2.0/", "192.0.2/24", "example.org", "10.0.0.0/8/8", ""])(
    "are refused where they are none: %j",
    (network) => {
      expect(() => addressIsIn("192.0.2.1", [network])).toThrow("is no network");
    },
  );
});

test("a table is read in its own order, without regard to case", () => {
  const table = { "VPN-Admins": "admins", staff: "people" };
  expect(firstMatch(table, ["STAFF", "vpn-admins"])).toBe("admins");
  expect(firstMatch(table, ["Staff"])).toBe("people");
  expect(firstMatch(table, ["constructor", "__proto__"])).toBeUndefined();
});
