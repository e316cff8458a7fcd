import { type ScriptEvent, type ScriptPlatform, type ScriptPrivilege, sha256 } from "@sallyport/protocol";
import { describe, expect, it, test } from "vitest";
import {
  cellOfProperty,
  platformOf,
  propertyOfCell,
  scriptNameOf,
  selectScripts,
} from "../../src/client-scripts/select.ts";
import type { ScopedScript, ScopedVariable, ScriptOwner } from "../../src/store/client-script-store.ts";

const platforms: ScriptPlatform[] = ["all", "win", "mac", "linux"];
const privileges: ScriptPrivilege[] = ["user", "admin"];
const events: ScriptEvent[] = ["connect", "disconnect"];
const cells = platforms.flatMap((platform) =>
  privileges.flatMap((privilege) => events.map((event) => ({ platform, privilege, event }))),
);

const everybody: ScriptOwner = { kind: "default" };
const eng: ScriptOwner = { kind: "group", name: "eng" };
const script = (owner: ScriptOwner, cell: (typeof cells)[number], text: string): ScopedScript => ({
  scope: { owner, ...cell },
  version: 1,
  name: `${text}.sh`,
  text,
  sha256: sha256(text),
  createdAt: "2026-01-01T00:00:00.000Z",
  createdBy: "root",
});
const textOf = ({ platform, privilege, event }: (typeof cells)[number]) => `${platform} ${privilege} ${event}`;
const whole = cells.map((cell) => script(everybody, cell, textOf(cell)));
const usual = { variables: [], properties: {}, group: null, platform: "linux" as const, adminScripts: true };
const texts = (from: Partial<Parameters<typeof selectScripts>[0]>) =>
  selectScripts({ live: whole, ...usual, ...from }).map(({ text }) => text);

describe("which cells a client gets", () => {
  for (const platform of ["win", "mac", "linux", null] as const) {
    for (const cell of cells) {
      const meant = cell.platform === "all" || cell.platform === platform;
      it(`${textOf(cell)} is ${meant ? "" : "not "}for a client on ${platform ?? "anything else"}`, () => {
        const live = [script(everybody, cell, "x")];
        const [chosen, ...more] = selectScripts({ live, ...usual, platform });
        expect(more).toEqual([]);
        expect(chosen).toEqual(
          meant ? { name: "x.sh", ...cell, sha256: sha256("x"), text: "x", environment: {} } : undefined,
        );
      });
    }
  }
});

test("they come in the order they run: event, administrators' before users', every platform's before its own", () => {
  expect(texts({})).toEqual([
    "all admin connect",
    "linux admin connect",
    "all user connect",
    "linux user connect",
    "all admin disconnect",
    "linux admin disconnect",
    "all user disconnect",
    "linux user disconnect",
  ]);
});

test("administrators' scripts are left out where the server does not hand them out", () => {
  expect(texts({ adminScripts: false })).toEqual([
    "all user connect",
    "linux user connect",
    "all user disconnect",
    "linux user disconnect",
  ]);
});

const cell = { platform: "linux", privilege: "user", event: "connect" } as const;

describe("whose script a cell has", () => {
  const live = [script(everybody, cell, "default's"), script(eng, cell, "eng's")];
  const ofOps = script({ kind: "group", name: "ops" }, cell, "ops'");

  it.each([
    ["the group's", { live, group: "eng" }, ["eng's"]],
    ["the default's for whom is in no group", { live, group: null }, ["default's"]],
    ["the default's where the group has none", { live, group: "sales" }, ["default's"]],
    ["never another group's", { live: [ofOps], group: "eng" }, []],
    ["never a group's for whom is in none", { live: [ofOps], group: null }, []],
    ["nothing where the group's is empty", { live: [...live.slice(0, 1), script(eng, cell, " \n")], group: "eng" }, []],
  ])("%s", (_what, from, expected) => expect(texts(from)).toEqual(expected));

  it("a property of the connection stands before all, and an empty one keeps them away", () => {
    const property = (text: string) => ({ properties: { "prop_cli.script.linux.user.connect": text } });
    expect(texts({ live, group: "eng", ...property("own") })).toEqual(["own"]);
    expect(texts({ live, group: "eng", ...property("") })).toEqual([]);
    expect(texts({ live: [], properties: { "prop_cli.script.beos.user.connect": "x" } })).toEqual([]);
  });

  it("a property that no script can be runs nothing", () => {
    for (const text of ["a\0b", "\ud800", "x".repeat(1024 * 1024 + 1)]) {
      expect(texts({ live, properties: { "prop_cli.script.linux.user.connect": text } })).toEqual([]);
    }
  });

  it("a property obeys the switch for administrators' scripts too", () => {
    const properties = { "prop_cli.script.all.admin.connect": "x" };
    expect(texts({ live: [], properties, adminScripts: false })).toEqual([]);
    expect(texts({ live: [], properties })).toEqual(["x"]);
  });
});

test("variables: the group's over the default's, the platform's over those for all, of this privilege and event only", () => {
  const variable = (owner: ScriptOwner, part: Partial<typeof cell> | object, name: string, value: string) =>
    ({ scope: { owner, ...cell, ...part }, name, value }) as ScopedVariable;
  const variables = [
    variable(eng, { platform: "all" }, "A", "eng all"),
    variable(everybody, {}, "A", "default linux"),
    variable(everybody, {}, "B", "default linux"),
    variable(everybody, { platform: "all" }, "B", "default all"),
    variable(everybody, { platform: "all" }, "C", "default all"),
    variable(everybody, { platform: "win" }, "D", "other platform"),
    variable(everybody, { privilege: "admin" }, "E", "other privilege"),
    variable(everybody, { event: "disconnect" }, "F", "other event"),
    variable({ kind: "group", name: "ops" }, {}, "G", "other group"),
  ];
  const live = [script(everybody, cell, "x"), script(everybody, { ...cell, platform: "all" }, "y")];
  const chosen = selectScripts({ live, ...usual, variables, group: "eng" });
  expect(Object.fromEntries(chosen.map(({ text, environment }) => [text, environment]))).toEqual({
    x: { A: "eng all", B: "default linux", C: "default all" },
    y: { A: "eng all", B: "default all", C: "default all" },
  });
});

test.each(cells)("the property of $platform $privilege $event is read as it is written", (one) => {
  expect(cellOfProperty(propertyOfCell(one))).toEqual(one);
});

test("names that are nearly such a property are none", () => {
  for (const key of ["prop_cli.script_stdin", "prop_cli.script.linux.user", "xprop_cli.script.all.user.connect"]) {
    expect(cellOfProperty(key)).toBeUndefined();
  }
});

test("a platform without scripts of its own is none", () => {
  expect(["win", "mac", "linux", "android", "", undefined].map(platformOf)).toEqual([
    "win",
    "mac",
    "linux",
    null,
    null,
    null,
  ]);
});

test.each([
  ["/home/a/map drives.cmd", "map drives.cmd"],
  ["C:\\scripts\\x.vbs", "x.vbs"],
  ["../../etc/passwd", "passwd"],
  [".bashrc", "bashrc"],
  ["a;rm -rf $HOME.sh", "a_rm -rf _HOME.sh"],
  ["a\nb\u202Etxt.exe", "a_b_txt.exe"],
  ["ünï.sh", "n_.sh"],
  ["...", "script"],
  ["x".repeat(200), "x".repeat(100)],
])("the file %j gives the script the name %j", (file, name) => expect(scriptNameOf(file)).toBe(name));
