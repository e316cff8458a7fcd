import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { createDirectory, type Directory } from "../../src/accounts/directory.ts";
import { Secret } from "../../src/core/secret.ts";
import type { AccountStore } from "../../src/store/store.ts";
import { openStore } from "./store.ts";

let store: AccountStore;
let directory: Directory;

beforeEach(async () => {
  store = (await openStore()).accounts;
  directory = createDirectory({
    store,
    passwords: {
      hash: async (password) => `digest of ${password.reveal().length}`,
      hashSha256: async (sha256) => `digest of the SHA-256 ${sha256.reveal().slice(0, 4)}`,
    },
    now: () => new Date("2026-01-01T00:00:00Z"),
  });
});

const alice = { kind: "user", name: "alice" } as const;
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => "done",
    (error: { code: string }) => error.code,
  );

describe("users", () => {
  it("are added once, with a digest instead of the password", async () => {
    expect(await directory.addUser({ id: "alice", password: new Secret("hunter22") })).toBe(true);
    expect(await directory.addUser({ id: "alice", password: undefined })).toBe(false);
    expect(await store.user("alice")).toEqual({
      id: "alice",
      disabled: false,
      hasPassword: true,
      passwordDigest: "digest of 8",
      createdAt: "2026-01-01T00:00:00.000Z",
    });
  });

  it("without a password have none until one is set", async () => {
    await directory.addUser({ id: "alice", password: undefined });
    expect(await store.user("alice")).toMatchObject({ hasPassword: false, passwordDigest: null });
    expect(await directory.setPassword("alice", new Secret("x"))).toBe(true);
    expect(await store.user("alice")).toMatchObject({ hasPassword: true });
    expect(await directory.removePassword("alice")).toBe(true);
    expect(await store.user("alice")).toMatchObject({ hasPassword: false });
    expect(await directory.setPassword("bob", new Secret("x"))).toBe(false);
  });

  it.each(["alice", "a b", "ä".repeat(32), "'; DROP TABLE users", "$(reboot)", 'a"b\\c', "-rf", "用户", "END"])(
    "may be named %j",
    async (id) => {
      expect(await directory.addUser({ id, password: undefined })).toBe(true);
      expect((await store.user(id))?.id).toBe(id);
    },
  );

  it.each([
    "",
    " ",
    "\u200b",
    "a\nb",
    "a\0b",
    "\u007f",
    "a".repeat(65),
    "ä".repeat(33),
    "\ud800",
    "__DEFAULT__",
    "x".repeat(10_000_000),
  ])("may not be named %.20j", async (id) => {
    expect(await code(directory.addUser({ id, password: undefined }))).toBe("invalid-input");
    expect(await code(directory.addGroup(id))).toBe("invalid-input");
    expect(await store.users()).toEqual([]);
  });

  it.each(["", "a\0b", "x".repeat(1001), "ä".repeat(501), "\ud800", "CRV1::a::b", "SCRV1:eA==:eQ=="])(
    "may not have the password %.20j, and the error does not show it",
    async (password) => {
      const error = await directory.addUser({ id: "alice", password: new Secret(password) }).catch((e: Error) => e);
      expect(error).toMatchObject({ code: "invalid-input" });
      if (password.length > 1) expect((error as Error).message).not.toContain(password);
      await directory.addUser({ id: "alice", password: undefined });
      expect(await code(directory.setPassword("alice", new Secret(password)))).toBe("invalid-input");
      expect(await store.user("alice")).toMatchObject({ hasPassword: false });
    },
  );

  it("may have a password of 1000 bytes with whatever else is in it", async () => {
    expect(await directory.addUser({ id: "alice", password: new Secret("'\"\n\t ü".padEnd(999, "x")) })).toBe(true);
  });
});

describe("properties", () => {
  it("belong to users with and without an account, to groups that exist, and to the default", async () => {
    await directory.setProperties({ kind: "user", name: "from-ldap" }, { pvt_a: "1", prop_deny: "true" });
    expect(await store.properties({ kind: "user", name: "from-ldap" })).toEqual({ pvt_a: "1", prop_deny: "true" });
    await directory.setProperties({ kind: "default" }, { prop_autologin: "false" });
    await directory.addGroup("eng");
    await directory.setProperties({ kind: "group", name: "eng" }, { "group_subnets.0": "10.50.0.0/24" });
    expect(await code(directory.setProperties({ kind: "group", name: "none" }, { a: "1" }))).toBe("not-found");
  });

  it.each([
    ["conn_ip", "10.0.0.300"],
    ["conn_ip", "10.0.0.0/24"],
    ["conn_ip", ""],
    ["prop_deny", "yes"],
    ["prop_superuser", "True"],
    ["prop_expire", "1h"],
    ["prop_reroute_gw_override", "all"],
    ["access_to.0", "+NAT:10.0.0.0/33"],
    ["access_from.3", "everybody"],
    ["pvt_a", "a\0b"],
    ["pvt_a", "\ud800"],
    ["pvt_a", "x".repeat(10_000_000)],
    ["", "x"],
    ["a b", "x"],
    ["a\nb", "x"],
    ["a\0", "x"],
    ["__proto__", "x"],
    ["k".repeat(257), "x"],
    ["group_subnets.0", "10.0.0.0/24"],
  ])("%.20j cannot be %.20j on a user, and nothing of the rest is written", async (key, value) => {
    const values = Object.fromEntries([["good", "1"]].concat([[key, value]]));
    expect(await code(directory.setProperties(alice, values))).toBe("invalid-input");
    expect(await store.properties(alice)).toEqual({});
  });

  it.each([
    ["conn_ip", "10.42.3.7"],
    ["conn_ip", "fd42::7"],
    ["prop_expire", "0"],
    ["prop_cli.script.win.user.connect", "@echo off\r\nnet use\t\n"],
    ["pvt_ünicode", "ü\u2028"],
    ["constructor", "x"],
    ["prop_reroute_gw_override", "dns_only"],
    ["access_to.0", "+NAT:10.0.0.0/8"],
    ["access_to.1", "10.1.0.0/16:tcp/443"],
    ["access_from.0", "+GROUP:eng"],
    ["access_to.x", "a script's own"],
    ["pvt_empty", ""],
  ])("%j can be %j", async (key, value) => {
    await directory.setProperties(alice, { [key]: value });
    expect(await store.properties(alice)).toEqual({ [key]: value });
  });

  it("name only groups that exist as conn_group", async () => {
    expect(await code(directory.setProperties(alice, { conn_group: "eng", a: "1" }))).toBe("not-found");
    expect(await store.properties(alice)).toEqual({});
    await directory.addGroup("eng");
    await directory.setProperties(alice, { conn_group: "eng" });
    expect(await code(directory.setProperties({ kind: "default" }, { conn_group: "none" }))).toBe("not-found");
  });

  it("give no two groups the same addresses, and no group a subnet without room", async () => {
    const eng = { kind: "group", name: "eng" } as const;
    const ops = { kind: "group", name: "ops" } as const;
    await directory.addGroup("eng");
    await directory.addGroup("ops");
    await directory.setProperties(eng, { "group_subnets.0": "10.50.0.0/16" });
    await directory.setProperties(eng, { "group_subnets.0": "10.50.0.0/24", "group_subnets.1": "fd50::/64" });
    expect(await code(directory.setProperties(ops, { "group_subnets.0": "10.50.0.128/25" }))).toBe("conflict");
    expect(await code(directory.setProperties(ops, { "group_subnets.0": "fd50::/48" }))).toBe("conflict");
    expect(await code(directory.setProperties(ops, { "group_subnets.0": "10.51.0.0/31" }))).toBe("invalid-input");
    expect(await code(directory.setProperties(ops, { "group_subnets.0": "10.51.0.1" }))).toBe("invalid-input");
    await directory.setProperties(ops, { "group_subnets.0": "10.50.1.0/24" });
  });

  it("are refused with a code or kept exactly, whatever they are", async () => {
    const text = fc.oneof(fc.string({ unit: "binary", maxLength: 40 }), fc.string({ maxLength: 40 }));
    await fc.assert(
      fc.asyncProperty(text, text, text, async (name, key, value) => {
        const owner = { kind: "user", name } as const;
        const result = await code(directory.setProperties(owner, Object.fromEntries([[key, value]])));
        if (result === "done") expect(await store.properties(owner)).toMatchObject({ [key]: value });
        else expect(["invalid-input", "not-found"]).toContain(result);
      }),
      { numRuns: 150 },
    );
  });
});
