import { describe, expect, test } from "vitest";
import type { KeptReport, ScopedScript, ScriptScope } from "../../../src/store/client-script-store.ts";
import type { Store } from "../../../src/store/store.ts";
import { aReservation, at, type OpenStore, withStore } from "./rows.ts";

export function clientScriptsSuite(open: OpenStore): void {
  const everybody: ScriptScope = { owner: { kind: "default" }, platform: "linux", privilege: "user", event: "connect" };
  const eng: ScriptScope = { ...everybody, owner: { kind: "group", name: "eng" } };
  const script = (scope: ScriptScope, text: string): Omit<ScopedScript, "version"> => ({
    scope,
    name: "x.sh",
    text,
    sha256: `sha of ${text}`,
    createdAt: at(0),
    createdBy: "root",
  });
  const connected = async (store: Store, given: { ipv4: string; id?: string; connectionId?: string }) => {
    const { ipv4, ...facts } = given;
    const reserved = await store.ledger.reserve(aReservation(facts, { ipv4: { fixed: ipv4 } }));
    if (!("connection" in reserved)) throw new Error(reserved.refused);
    return reserved.connection.id;
  };
  const end = (store: Store, id: string, second: number, release = true) =>
    store.ledger.end(id, { at: at(second), reason: "client", detail: null, counts: null, release, subscribers: [] });

  describe("client scripts", () => {
    test("a new version is live at once, the older ones stay, and each scope counts for itself", () =>
      withStore(open, async ({ clientScripts }) => {
        expect(await clientScripts.add(script(eng, "one"))).toEqual({ ...script(eng, "one"), version: 1 });
        expect((await clientScripts.add(script(eng, "zwö"))).version).toBe(2);
        expect((await clientScripts.add(script(everybody, "other"))).version).toBe(1);
        expect((await clientScripts.get(eng))?.text).toBe("zwö");
        expect((await clientScripts.get(eng, 1))?.text).toBe("one");
        expect(await clientScripts.get(eng, 3)).toBeUndefined();
        expect(await clientScripts.get({ ...eng, platform: "win" })).toBeUndefined();
        const versions = await clientScripts.versions(eng);
        expect(versions.map(({ version, live, bytes }) => [version, live, bytes])).toEqual([
          [1, false, 3],
          [2, true, 4],
        ]);
        expect(versions[0]).not.toHaveProperty("text");
        expect((await clientScripts.list()).map(({ scope, version }) => [scope, version])).toEqual([
          [everybody, 1],
          [eng, 2],
        ]);
        expect((await clientScripts.list(eng.owner)).map(({ scope }) => scope)).toEqual([eng]);
      }));

    test("what is removed is not live, and its number is not given again", () =>
      withStore(open, async ({ clientScripts }) => {
        await clientScripts.add(script(eng, "one"));
        expect(await clientScripts.remove(eng)).toBe(true);
        expect(await clientScripts.remove(eng)).toBe(false);
        expect(await clientScripts.get(eng)).toBeUndefined();
        expect((await clientScripts.versions(eng)).map(({ live }) => live)).toEqual([false]);
        expect(await clientScripts.list()).toEqual([]);
        expect((await clientScripts.add(script(eng, "two"))).version).toBe(2);
      }));

    test("what a group's member may get is the group's and the default's", () =>
      withStore(open, async ({ clientScripts }) => {
        await clientScripts.add(script(eng, "of eng"));
        await clientScripts.add(script({ ...eng, owner: { kind: "group", name: "ops" } }, "of ops"));
        await clientScripts.add(script(everybody, "of all"));
        const texts = async (group: string | null) =>
          (await clientScripts.liveFor(group)).map(({ text }) => text).sort();
        expect(await texts("eng")).toEqual(["of all", "of eng"]);
        expect(await texts("nobody's")).toEqual(["of all"]);
        expect(await texts("")).toEqual(["of all"]);
        expect(await texts(null)).toEqual(["of all"]);
      }));

    test("a variable has one value in each scope", () =>
      withStore(open, async ({ clientScripts }) => {
        await clientScripts.setVariable({ scope: eng, name: "A", value: "1" });
        await clientScripts.setVariable({ scope: eng, name: "A", value: "" });
        await clientScripts.setVariable({ scope: everybody, name: "A", value: "d" });
        expect(await clientScripts.variables(eng.owner)).toEqual([{ scope: eng, name: "A", value: "" }]);
        expect((await clientScripts.variables()).length).toBe(2);
        expect(await clientScripts.deleteVariable(eng, "A")).toBe(true);
        expect(await clientScripts.deleteVariable(eng, "A")).toBe(false);
        expect(await clientScripts.variables(eng.owner)).toEqual([]);
      }));

    test("a group takes its scripts and variables along when it is deleted", () =>
      withStore(open, async ({ accounts, clientScripts }) => {
        await accounts.addGroup({ id: "eng", createdAt: at(0) });
        await clientScripts.add(script(eng, "of eng"));
        await clientScripts.add(script(everybody, "of all"));
        await clientScripts.setVariable({ scope: eng, name: "A", value: "1" });
        await accounts.deleteGroup("eng");
        expect(await clientScripts.versions(eng)).toEqual([]);
        expect(await clientScripts.variables()).toEqual([]);
        expect((await clientScripts.liveFor("eng")).map(({ text }) => text)).toEqual(["of all"]);
      }));
  });

  describe("tickets for client scripts", () => {
    const ticket = (digest: string, connectionId: string) => ({
      digest,
      connectionId,
      platform: "linux",
      createdAt: at(0),
      expiresAt: at(100),
    });

    test("a ticket is taken once, also where two ask at the same time", () =>
      withStore(open, async ({ clientScripts }) => {
        await clientScripts.putTicket(ticket("t", "c"));
        expect(await clientScripts.ticket("t")).toEqual({ ...ticket("t", "c"), usedAt: null });
        const taking = { at: at(1), reportDigest: null };
        const taken = await Promise.all([1, 2, 3].map(() => clientScripts.takeTicket("t", taking)));
        expect(taken.filter(Boolean)).toHaveLength(1);
        expect((await clientScripts.ticket("t"))?.usedAt).toBe(at(1));
        expect(await clientScripts.takeTicket("unknown", taking)).toBe(false);
        expect(await clientScripts.ticket("unknown")).toBeUndefined();
      }));

    test("a connection's next ticket voids the one that nobody used", () =>
      withStore(open, async ({ clientScripts }) => {
        await clientScripts.putTicket(ticket("used", "c"));
        await clientScripts.takeTicket("used", { at: at(1), reportDigest: "r" });
        await clientScripts.putTicket(ticket("unused", "c"));
        await clientScripts.putTicket(ticket("another's", "d"));
        await clientScripts.putTicket(ticket("next", "c"));
        expect(await clientScripts.ticket("unused")).toBeUndefined();
        for (const kept of ["used", "another's", "next"]) expect(await clientScripts.ticket(kept)).toBeDefined();
      }));

    test("outcomes are kept up to a number for each connection, in the order they came", () =>
      withStore(open, async ({ clientScripts }) => {
        await clientScripts.putTicket(ticket("t", "c"));
        await clientScripts.takeTicket("t", { at: at(1), reportDigest: "r" });
        expect(await clientScripts.reporter("r")).toBe("c");
        expect(await clientScripts.reporter("s")).toBeUndefined();
        const report = (id: string): KeptReport => ({
          id,
          connectionId: "c",
          receivedAt: at(2),
          name: "x.sh",
          event: "connect",
          privilege: "user",
          sha256: "ab",
          outcome: "ran",
          startedAt: at(1),
          durationMs: 7,
          exitCode: 0,
          signal: null,
          detail: null,
          output: "hello\n",
        });
        expect(await clientScripts.addReports("c", [report("1"), report("2")], 3)).toBe(2);
        expect(await clientScripts.addReports("c", [report("3"), report("4")], 3)).toBe(1);
        expect(await clientScripts.addReports("c", [report("5")], 3)).toBe(0);
        expect(await clientScripts.reports("c")).toEqual([report("1"), report("2"), report("3")]);
        expect(await clientScripts.reports("d")).toEqual([]);
        const other = (id: string, change: Partial<KeptReport>) => ({ ...report(id), connectionId: "e", ...change });
        await clientScripts.addReports(
          "e",
          [
            other("6", { exitCode: 1 }),
            other("7", { outcome: "timed-out" }),
            other("8", { outcome: "refused", exitCode: null }),
            other("9", { exitCode: null, signal: "SIGKILL" }),
          ],
          9,
        );
        const counts = await clientScripts.reportCounts([
          "c",
          "d",
          "e",
          ...Array.from({ length: 1_000 }, (_, n) => `x${n}`),
        ]);
        expect(counts.sort((a, b) => (a.connectionId < b.connectionId ? -1 : 1))).toEqual([
          { connectionId: "c", succeeded: 3, failed: 0, refused: 0 },
          { connectionId: "e", succeeded: 0, failed: 3, refused: 1 },
        ]);
      }));

    test("an address leads to the connection that has it now", () =>
      withStore(open, async (store) => {
        const { clientScripts } = store;
        expect(await clientScripts.connectionAt("10.42.0.9")).toBeUndefined();
        const id = await connected(store, { ipv4: "10.42.0.9" });
        expect(await clientScripts.connectionAt("10.42.0.9")).toBe(id);
        expect(await clientScripts.connectionAt("10.42.0.8")).toBeUndefined();
        await end(store, id, 5, false);
        expect(await clientScripts.connectionAt("10.42.0.9")).toBeUndefined();
      }));

    test("pruning leaves what can still be used or reported with", () =>
      withStore(open, async (store) => {
        const { clientScripts } = store;
        const lives = await connected(store, { ipv4: "10.42.0.9", connectionId: "a" });
        const ended = await connected(store, { ipv4: "10.42.0.10", connectionId: "b" });
        await end(store, ended, 150);
        for (const [digest, connection] of [
          ["reports", lives],
          ["reported", ended],
        ] as const) {
          await clientScripts.putTicket(ticket(digest, connection));
          await clientScripts.takeTicket(digest, { at: at(1), reportDigest: `r ${digest}` });
        }
        await clientScripts.putTicket(ticket("unused", lives));
        await clientScripts.putTicket({ ...ticket("young", "c"), expiresAt: at(300) });
        await clientScripts.prune({ tickets: at(200), reports: at(200) });
        const left = await Promise.all(
          ["reports", "reported", "unused", "young"].map((one) => clientScripts.ticket(one)),
        );
        expect(left.map((one) => one?.digest)).toEqual(["reports", undefined, undefined, "young"]);
      }));
  });
}
