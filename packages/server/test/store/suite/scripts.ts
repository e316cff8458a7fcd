import { describe, expect, test } from "vitest";
import type { Store } from "../../../src/store/store.ts";
import { at, type OpenStore, withStore } from "./rows.ts";

export function scriptsSuite(open: OpenStore): void {
  const text = (script: string, body: string, cases: string | null = null) => ({
    script,
    language: "python" as const,
    text: body,
    sha256: `sha of ${body}`,
    cases,
    createdAt: at(0),
    createdBy: "root",
  });
  const active = async (store: Store) =>
    (await store.scripts.active()).map(({ script, version }) => `${script} ${version}`);

  describe("scripts", () => {
    test("versions count up from 1, stay as they were, and are not active by themselves", () =>
      withStore(open, async (store) => {
        const { scripts } = store;
        expect(await scripts.addVersion(text("mac", "one"))).toEqual({ ...text("mac", "one"), version: 1 });
        expect((await scripts.addVersion(text("mac", "two", "- name: x"))).version).toBe(2);
        expect((await scripts.addVersion(text("ldap", "other"))).version).toBe(1);
        expect(await scripts.version("mac", 1)).toEqual({ ...text("mac", "one"), version: 1 });
        expect((await scripts.versions("mac")).map(({ version, text, cases }) => ({ version, text, cases }))).toEqual([
          { version: 1, text: "one", cases: null },
          { version: 2, text: "two", cases: "- name: x" },
        ]);
        expect(await scripts.version("mac", 3)).toBeUndefined();
        expect(await scripts.versions("none")).toEqual([]);
        expect(await active(store)).toEqual([]);
        expect(await scripts.list()).toEqual([
          { id: "mac", activeVersion: null, latestVersion: 2, position: 1 },
          { id: "ldap", activeVersion: null, latestVersion: 1, position: 2 },
        ]);
      }));

    test("two versions added at once get two numbers", () =>
      withStore(open, async ({ scripts }) => {
        const added = await Promise.all(Array.from({ length: 20 }, (_, i) => scripts.addVersion(text("mac", `v${i}`))));
        expect(added.map(({ version }) => version).sort((a, b) => a - b)).toEqual(
          Array.from({ length: 20 }, (_, i) => i + 1),
        );
      }));

    test("one version of each is active, in the order of position, and what was active before is remembered", () =>
      withStore(open, async (store) => {
        const { scripts } = store;
        for (const [name, body] of [
          ["mac", "1"],
          ["mac", "2"],
          ["ldap", "1"],
        ] as const)
          await scripts.addVersion(text(name, body));
        expect(await scripts.activate("mac", 1, at(1))).toBe(true);
        expect(await scripts.activate("ldap", 1, at(2))).toBe(true);
        expect(await scripts.activate("mac", 2, at(3))).toBe(true);
        expect(await active(store)).toEqual(["mac 2", "ldap 1"]);
        expect(await scripts.activate("mac", null, at(3))).toBe(true);
        expect(await active(store)).toEqual(["ldap 1"]);
        expect(await scripts.activations("mac")).toEqual([
          { version: null, at: at(3) },
          { version: 2, at: at(3) },
          { version: 1, at: at(1) },
        ]);
      }));

    test("what does not exist is not activated", () =>
      withStore(open, async (store) => {
        await store.scripts.addVersion(text("mac", "1"));
        expect(await store.scripts.activate("mac", 2, at(1))).toBe(false);
        expect(await store.scripts.activate("none", 1, at(1))).toBe(false);
        expect(await store.scripts.activate("none", null, at(1))).toBe(false);
        expect(await store.scripts.activations("mac")).toEqual([]);
      }));

    test("they are put into another order, the unnamed following as they were, or not at all where one is unknown", () =>
      withStore(open, async (store) => {
        const { scripts } = store;
        for (const name of ["a", "b", "c", "d"]) {
          await scripts.addVersion(text(name, "1"));
          await scripts.activate(name, 1, at(1));
        }
        expect(await scripts.reorder(["c", "a"])).toBe(true);
        expect(await active(store)).toEqual(["c 1", "a 1", "b 1", "d 1"]);
        expect((await scripts.list()).map(({ position }) => position)).toEqual([1, 2, 3, 4]);
        expect(await scripts.reorder(["d", "none"])).toBe(false);
        expect(await active(store)).toEqual(["c 1", "a 1", "b 1", "d 1"]);
      }));

    test("a removed script is gone with its versions, and its numbers are never used again", () =>
      withStore(open, async (store) => {
        const { scripts } = store;
        for (const body of ["1", "2"]) await scripts.addVersion(text("mac", body));
        await scripts.activate("mac", 2, at(1));
        expect(await scripts.remove("mac")).toBe(true);
        expect(await scripts.remove("mac")).toBe(false);
        expect(await scripts.list()).toEqual([]);
        expect(await active(store)).toEqual([]);
        expect(await scripts.versions("mac")).toEqual([]);
        expect((await scripts.addVersion(text("mac", "3"))).version).toBe(3);
        expect(await scripts.activations("mac")).toEqual([]);
      }));
  });
}
