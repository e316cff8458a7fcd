import { describe, expect, test } from "vitest";
import { at, type OpenStore, withStore } from "./rows.ts";

/** Names that break naive SQL, JSON or text handling, and are names like any other. */
const hostileNames = [
  "o'hara",
  '"; drop table users; --',
  "Ålice",
  "alice ",
  "ALICE",
  "名前",
  "__proto__",
  "%",
  "a\nb",
];

export function accountsSuite(open: OpenStore): void {
  describe("accounts", () => {
    test("a user is added once, and is found by the name exactly as it was written", () =>
      withStore(open, async ({ accounts }) => {
        expect(await accounts.addUser({ id: "alice", passwordDigest: "digest", at: at(0) })).toBe(true);
        expect(await accounts.addUser({ id: "alice", passwordDigest: "other", at: at(1) })).toBe(false);
        expect(await accounts.user("alice")).toEqual({
          id: "alice",
          disabled: false,
          hasPassword: true,
          passwordDigest: "digest",
          createdAt: at(0),
        });
        expect(await accounts.user("Alice")).toBeUndefined();
      }));

    test("names of any characters are kept apart", () =>
      withStore(open, async ({ accounts }) => {
        for (const id of hostileNames) {
          expect(await accounts.addUser({ id, passwordDigest: null, at: at(0) })).toBe(true);
          await accounts.setProperties({ kind: "user", name: id }, { own: id });
        }
        const found = await accounts.users();
        expect(found.map(({ id }) => id).sort()).toEqual([...hostileNames].sort());
        for (const name of hostileNames)
          expect(await accounts.properties({ kind: "user", name })).toEqual({ own: name });
      }));

    test("an account is disabled and enabled, and its password set and taken away", () =>
      withStore(open, async ({ accounts }) => {
        await accounts.addUser({ id: "alice", passwordDigest: null, at: at(0) });
        expect(await accounts.setDisabled("alice", true)).toBe(true);
        expect(await accounts.setPasswordDigest("alice", "digest")).toBe(true);
        expect(await accounts.user("alice")).toMatchObject({
          disabled: true,
          hasPassword: true,
          passwordDigest: "digest",
        });
        expect(await accounts.setDisabled("alice", false)).toBe(true);
        expect(await accounts.setPasswordDigest("alice", null)).toBe(true);
        expect(await accounts.users()).toEqual([
          { id: "alice", disabled: false, hasPassword: false, createdAt: at(0) },
        ]);
      }));

    test("what does not exist is undefined or false", () =>
      withStore(open, async ({ accounts }) => {
        expect(await accounts.user("nobody")).toBeUndefined();
        expect(await accounts.group("none")).toBeUndefined();
        expect(await accounts.setDisabled("nobody", true)).toBe(false);
        expect(await accounts.setPasswordDigest("nobody", "digest")).toBe(false);
        expect(await accounts.deleteUser("nobody")).toBe(false);
        expect(await accounts.deleteGroup("none")).toBe(false);
        expect(await accounts.deleteProperty({ kind: "default" }, "type")).toBe(false);
        expect(await accounts.properties({ kind: "user", name: "nobody" })).toEqual({});
      }));

    test("groups are added once and listed", () =>
      withStore(open, async ({ accounts }) => {
        expect(await accounts.addGroup({ id: "eng", createdAt: at(0) })).toBe(true);
        expect(await accounts.addGroup({ id: "eng", createdAt: at(1) })).toBe(false);
        expect(await accounts.group("eng")).toEqual({ id: "eng", createdAt: at(0) });
        expect(await accounts.groups()).toEqual([{ id: "eng", createdAt: at(0) }]);
      }));
  });

  describe("properties", () => {
    test("setting some leaves the others", () =>
      withStore(open, async ({ accounts }) => {
        const owner = { kind: "user", name: "alice" } as const;
        await accounts.setProperties(owner, { conn_group: "eng", prop_superuser: "false" });
        await accounts.setProperties(owner, { prop_superuser: "true", pvt_hw_addr: "00:01:02:ab:cd:ef" });
        await accounts.setProperties(owner, {});
        expect(await accounts.properties(owner)).toEqual({
          conn_group: "eng",
          prop_superuser: "true",
          pvt_hw_addr: "00:01:02:ab:cd:ef",
        });
        expect(await accounts.deleteProperty(owner, "conn_group")).toBe(true);
        expect(await accounts.deleteProperty(owner, "conn_group")).toBe(false);
        expect(Object.keys(await accounts.properties(owner))).toEqual(["prop_superuser", "pvt_hw_addr"]);
      }));

    test("everybody's are told at once, each owner's by itself", () =>
      withStore(open, async ({ accounts }) => {
        await accounts.addGroup({ id: "eng", createdAt: at(0) });
        await accounts.setProperties({ kind: "default" }, { a: "1" });
        await accounts.setProperties({ kind: "group", name: "eng" }, { b: "2", a: "3" });
        await accounts.setProperties({ kind: "user", name: "eng" }, { a: "4" });
        expect(await accounts.allProperties()).toEqual([
          { owner: { kind: "default" }, properties: { a: "1" } },
          { owner: { kind: "group", name: "eng" }, properties: { a: "3", b: "2" } },
          { owner: { kind: "user", name: "eng" }, properties: { a: "4" } },
        ]);
      }));

    test("a user, a group of the same name and the default each have their own", () =>
      withStore(open, async ({ accounts }) => {
        await accounts.setProperties({ kind: "user", name: "eng" }, { type: "user" });
        await accounts.setProperties({ kind: "group", name: "eng" }, { type: "group" });
        await accounts.setProperties({ kind: "default" }, { type: "default" });
        expect(await accounts.properties({ kind: "user", name: "eng" })).toEqual({ type: "user" });
        expect(await accounts.properties({ kind: "group", name: "eng" })).toEqual({ type: "group" });
        expect(await accounts.properties({ kind: "default" })).toEqual({ type: "default" });
      }));

    test("they go with the user or group they belong to, and nobody else's do", () =>
      withStore(open, async ({ accounts }) => {
        await accounts.addUser({ id: "eng", passwordDigest: null, at: at(0) });
        await accounts.addGroup({ id: "eng", createdAt: at(0) });
        await accounts.setProperties({ kind: "user", name: "eng" }, { type: "user" });
        await accounts.setProperties({ kind: "group", name: "eng" }, { type: "group" });
        expect(await accounts.deleteUser("eng")).toBe(true);
        expect(await accounts.properties({ kind: "user", name: "eng" })).toEqual({});
        expect(await accounts.properties({ kind: "group", name: "eng" })).toEqual({ type: "group" });
        expect(await accounts.deleteGroup("eng")).toBe(true);
        expect(await accounts.properties({ kind: "group", name: "eng" })).toEqual({});
      }));

    test("a property is swapped by one of many who saw the same value, and by nobody who saw another", () =>
      withStore(open, async ({ accounts }) => {
        const owner = { kind: "user", name: "alice" } as const;
        await accounts.setProperties({ kind: "user", name: "bob" }, { step: "1" });
        const swap = async (from: string | null, to: string) =>
          await accounts.swapProperty(owner, { key: "step", from, to });
        expect(await swap("1", "2")).toBe(false);
        const first = await Promise.all(Array.from({ length: 10 }, () => swap(null, "1")));
        expect(first.filter(Boolean)).toHaveLength(1);
        const second = await Promise.all(Array.from({ length: 10 }, (_, i) => swap("1", `later ${i}`)));
        expect(second.filter(Boolean)).toHaveLength(1);
        expect(await accounts.properties(owner)).toEqual({ step: `later ${second.indexOf(true)}` });
        expect(await accounts.properties({ kind: "user", name: "bob" })).toEqual({ step: "1" });
      }));

    test("keys and values of any characters come back unchanged", () =>
      withStore(open, async ({ accounts }) => {
        const values = Object.fromEntries(hostileNames.map((name) => [name, `${name}\r\n\t${"x".repeat(100_000)}`]));
        await accounts.setProperties({ kind: "default" }, values);
        const found = await accounts.properties({ kind: "default" });
        expect(Object.entries(found).sort()).toEqual(Object.entries(values).sort());
      }));
  });
}
