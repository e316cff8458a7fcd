import { beforeEach, describe, expect, it } from "vitest";
import { accountLookup, subnetsOf } from "../../src/accounts/lookup.ts";
import type { AccountLookup } from "../../src/core/account.ts";
import type { Properties } from "../../src/core/properties.ts";
import type { AccountStore } from "../../src/store/store.ts";
import { openStore } from "./store.ts";

const at = "2026-01-01T00:00:00.000Z";

let store: AccountStore;
let lookup: AccountLookup;

beforeEach(async () => {
  store = (await openStore()).accounts;
  lookup = accountLookup(store);
});

const user = (name: string, values: Properties) => store.setProperties({ kind: "user", name }, values);
const behind = (values: Properties) => store.setProperties({ kind: "default" }, values);
const group = async (name: string, values: Properties) => {
  await store.addGroup({ id: name, createdAt: at });
  await store.setProperties({ kind: "group", name }, values);
};
const propertiesOf = async (name: string, overlay?: Properties) => (await lookup.resolve(name, overlay)).properties;

describe("the lookup order", () => {
  it("is user, then its group, then the default", async () => {
    await behind({ a: "default", b: "default", c: "default" });
    await group("eng", { b: "group", c: "group" });
    await user("alice", { conn_group: "eng", c: "user" });
    expect(await propertiesOf("alice")).toEqual({ a: "default", b: "group", c: "user", conn_group: "eng" });
  });

  it("inherits no pvt_ and no conn_ names, but keeps the user's own", async () => {
    await behind({ pvt_a: "x", conn_ip: "10.0.0.1", conn_other: "x", prop_superuser: "true" });
    await group("eng", { pvt_b: "x", conn_ip: "10.0.0.2", prop_autologin: "true" });
    await user("alice", { conn_group: "eng", pvt_hw_addr: "00:01", conn_ip: "10.0.0.3" });
    expect(await propertiesOf("alice")).toEqual({
      conn_group: "eng",
      conn_ip: "10.0.0.3",
      pvt_hw_addr: "00:01",
      prop_autologin: "true",
      prop_superuser: "true",
    });
  });

  it("gives everybody without a group the default's, with what that group has", async () => {
    await behind({ conn_group: "all" });
    await group("all", { prop_autologin: "true" });
    await group("eng", {});
    await user("alice", { conn_group: "eng" });
    expect(await propertiesOf("bob")).toEqual({ conn_group: "all", prop_autologin: "true" });
    expect(await propertiesOf("alice")).toEqual({ conn_group: "eng" });
  });

  it("knows somebody without an account here, as a directory's users are", async () => {
    await user("from-ldap", { prop_deny: "true" });
    expect(await lookup.resolve("from-ldap")).toEqual({ user: undefined, properties: { prop_deny: "true" } });
    expect(await lookup.resolve("nobody")).toEqual({ user: undefined, properties: {} });
  });

  it("tells of the account, without the password's digest", async () => {
    await store.addUser({ id: "alice", passwordDigest: "digest", at });
    await store.setDisabled("alice", true);
    expect((await lookup.resolve("alice")).user).toEqual({
      id: "alice",
      disabled: true,
      hasPassword: true,
      createdAt: at,
    });
  });

  it("keeps a group's name that no group has, for the one who refuses it", async () => {
    await behind({ a: "default" });
    await user("alice", { conn_group: "gone" });
    expect(await propertiesOf("alice")).toEqual({ a: "default", conn_group: "gone" });
    expect(await lookup.group("gone")).toBeUndefined();
  });

  it("takes names for names, also those that JavaScript has other uses for", async () => {
    await group("constructor", { toString: "x" });
    await user("alice", { conn_group: "constructor" });
    expect(await propertiesOf("alice")).toEqual({ conn_group: "constructor", toString: "x" });
    expect(await propertiesOf("hasOwnProperty")).toEqual({});
  });
});

describe("an overlay", () => {
  it("is laid over the user's own record before anything is looked up", async () => {
    await group("eng", { b: "eng" });
    await group("ops", { b: "ops" });
    await user("alice", { conn_group: "eng", pvt_a: "old", c: "kept" });
    expect(await propertiesOf("alice", { conn_group: "ops", pvt_a: "new" })).toEqual({
      conn_group: "ops",
      b: "ops",
      pvt_a: "new",
      c: "kept",
    });
    expect(await propertiesOf("alice")).toMatchObject({ conn_group: "eng", b: "eng", pvt_a: "old" });
  });
});

describe("conn_ip without conn_group", () => {
  beforeEach(async () => {
    await group("eng", { "group_subnets.0": "10.50.0.0/24", "group_subnets.1": "fd50::/64", who: "eng" });
    await group("ops", { "group_subnets.0": "10.51.0.0/24", who: "ops" });
  });

  it("picks the group whose subnet holds it, in either family, before the default's group", async () => {
    await behind({ conn_group: "ops" });
    await user("alice", { conn_ip: "10.50.0.9" });
    await user("bob", { conn_ip: "fd50::9" });
    expect(await propertiesOf("alice")).toMatchObject({ conn_ip: "10.50.0.9", conn_group: "eng", who: "eng" });
    expect(await propertiesOf("bob")).toMatchObject({ conn_group: "eng" });
  });

  it("leaves the default's group, or none, where no subnet holds it", async () => {
    await user("alice", { conn_ip: "10.99.0.9" });
    expect(await propertiesOf("alice")).toEqual({ conn_ip: "10.99.0.9" });
    await behind({ conn_group: "ops" });
    expect(await propertiesOf("alice")).toMatchObject({ conn_group: "ops" });
  });

  it("does not move somebody whose group is named", async () => {
    await user("alice", { conn_ip: "10.50.0.9", conn_group: "ops" });
    expect(await propertiesOf("alice")).toMatchObject({ conn_group: "ops", who: "ops" });
  });

  it("follows an address that a script gave", async () => {
    await user("alice", { conn_ip: "10.50.0.9" });
    expect(await propertiesOf("alice", { conn_ip: "10.51.0.9" })).toMatchObject({ conn_group: "ops" });
  });

  it("takes the smallest of several subnets, and no address for none", async () => {
    await group("part", { "group_subnets.0": "10.50.0.0/28" });
    await user("alice", { conn_ip: "10.50.0.9" });
    await user("bob", { conn_ip: "no address" });
    expect(await propertiesOf("alice")).toMatchObject({ conn_group: "part" });
    expect(await propertiesOf("bob")).toEqual({ conn_ip: "no address" });
  });
});

describe("a group's snapshot", () => {
  it("has its properties and its subnets in the order of N, canonical", async () => {
    await group("eng", {
      "group_subnets.10": "10.3.0.0/24",
      "group_subnets.2": " 10.2.0.77/24 ",
      "group_subnets.0": "FD50:0::/64",
      "group_subnets.x": "10.9.0.0/24",
      "group_subnets.3": "nonsense",
      "access_to.0": "+NAT:10.0.0.0/8",
    });
    const snapshot = await lookup.group("eng");
    expect(snapshot?.name).toBe("eng");
    expect(snapshot?.subnets).toEqual(["fd50::/64", "10.2.0.0/24", "10.3.0.0/24"]);
    expect(snapshot?.properties["access_to.0"]).toBe("+NAT:10.0.0.0/8");
  });

  it("is there for a group without properties", async () => {
    await store.addGroup({ id: "plain", createdAt: at });
    expect(await lookup.group("plain")).toEqual({ name: "plain", properties: {}, subnets: [] });
    expect(subnetsOf({})).toEqual([]);
  });
});
