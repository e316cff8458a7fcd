import { glob, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { breaches, circles, placeOf } from "./architecture/house.ts";
import { readModule } from "./architecture/read-module.ts";

const checkout = resolve(import.meta.dirname, "../../..");
const fewestModules = 25;

async function filesOf(...patterns: string[]): Promise<string[]> {
  const found: string[] = [];
  for await (const path of glob(patterns, { cwd: checkout, exclude: (name) => name.includes("node_modules") })) {
    found.push(path);
  }
  return found.sort();
}

const declared = new Map<string, string[]>();
for (const path of await filesOf("packages/*/package.json")) {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(await readFile(resolve(checkout, path), "utf8"));
  // Of what only developing needs, our own: it is put into what is packed.
  const packedIn = Object.keys(devDependencies).filter((name) => name.startsWith("@sallyport/"));
  declared.set(path.split("/")[1] ?? "", [...Object.keys(dependencies), ...packedIn]);
}
const dependencies = (workspace: string) => declared.get(workspace) ?? [];

const paths = await filesOf("packages/*/src/**/*.{ts,tsx}", "packages/sdk/typescript/**/*.ts");
const modules = await Promise.all(
  paths.map(async (path) => readModule(path, await readFile(resolve(checkout, path), "utf8"))),
);

test("every module keeps the rules of the house", () => {
  expect(modules.length).toBe(paths.length);
  expect(modules.length).toBeGreaterThan(fewestModules);
  // A reader that finds no imports would let everything pass.
  expect(modules.flatMap((module) => module.ours).length).toBeGreaterThan(fewestModules);
  expect(breaches(modules, dependencies)).toEqual([]);
});

test("no file imports one that imports it", () => {
  expect(circles(modules)).toEqual([]);
  const circle = [
    { path: "a.ts", imported: ["b.ts"] },
    { path: "b.ts", imported: ["c.ts"] },
    { path: "c.ts", imported: ["b.ts"] },
  ];
  expect(circles(circle)).toEqual(["b.ts -> c.ts -> b.ts"]);
});

test("every file that is imported by path exists", async () => {
  const known = new Set(await filesOf("packages/**/*.{ts,tsx,py,json,sql}"));
  expect(modules.flatMap(({ ours }) => ours).filter((imported) => !known.has(imported))).toEqual([]);
});

const server = "packages/server/src";
const wrong: [title: string, path: string, text: string, breach: string][] = [
  [
    "a peer imports a peer",
    `${server}/hooks/veto.ts`,
    'import { open } from "../connections/open.ts";',
    "(peer) imports",
  ],
  [
    "a peer imports a type of a peer",
    `${server}/auth/a.ts`,
    'import type { A } from "../hooks/b.ts";',
    "(peer) imports",
  ],
  ["a type is imported in place", `${server}/auth/a.ts`, 'type A = import("../hooks/b.ts").B;', "(peer) imports"],
  [
    "core imports the store",
    `${server}/core/a.ts`,
    'import type { Store } from "../store/store.ts";',
    "(core) imports",
  ],
  ["core imports the protocol", `${server}/core/a.ts`, 'import "@sallyport/protocol";', "(core) imports"],
  ["a peer imports an adapter", `${server}/auth/a.ts`, 'import "../runner/python/host.ts";', "(adapter)"],
  ["a peer loads an adapter later", `${server}/auth/a.ts`, 'await import("../store/sqlite.ts");', "(adapter)"],
  [
    "a peer starts an adapter's worker",
    `${server}/auth/a.ts`,
    'new Worker(new URL("../store/worker.ts", import.meta.url));',
    "(adapter)",
  ],
  [
    "a module passes an adapter on",
    `${server}/lifecycle.ts`,
    'export * from "./drivers/openvpn/driver.ts";',
    "(adapter)",
  ],
  ["the command line imports an adapter", `${server}/cli/a.ts`, 'import "../drivers/openvpn/driver.ts";', "(adapter)"],
  ["the api imports an adapter", `${server}/api/a.ts`, 'import "../store/sqlite.ts";', "(adapter)"],
  ["main imports an adapter", `${server}/main.ts`, 'import "./store/sqlite.ts";', "(adapter)"],
  [
    "an adapter imports another port",
    `${server}/store/sqlite.ts`,
    'import "../drivers/driver.ts";',
    "(adapter) imports",
  ],
  [
    "an adapter imports another adapter",
    `${server}/drivers/openvpn/a.ts`,
    'import "../wireguard/b.ts";',
    "(adapter) imports",
  ],
  ["an adapter imports a peer", `${server}/drivers/openvpn/a.ts`, 'import "../../auth/b.ts";', "(adapter) imports"],
  ["a port imports a peer", `${server}/store/store.ts`, 'import "../accounts/a.ts";', "(port) imports"],
  ["a port imports another port", `${server}/store/store.ts`, 'import "../runner/runner.ts";', "(port) imports"],
  ["the lifecycle imports compose", `${server}/lifecycle.ts`, 'import "./compose.ts";', "(lifecycle) imports"],
  [
    "a stage reads the configuration",
    `${server}/auth/a.ts`,
    'import type { Config } from "../config/schema.ts";',
    "(config)",
  ],
  ["the configuration imports a peer", `${server}/config/a.ts`, 'import "../hooks/b.ts";', "(config) imports"],
  [
    "a package is reached by path",
    `${server}/core/a.ts`,
    'import "../../../protocol/src/index.ts";',
    "another package by path",
  ],
  [
    "the protocol imports the server",
    "packages/protocol/src/a.ts",
    'import "@sallyport/server";',
    "(protocol) imports",
  ],
  ["a package is not declared", `${server}/core/a.ts`, 'import lodash from "lodash";', "does not declare"],
  ["Node's module is named as if it were a package", `${server}/core/a.ts`, 'import "fs";', "without node:"],
  ["a file lies outside of every room", `${server}/misc/a.ts`, "", "no place in the house"],
  ["a file has a vague name", `${server}/core/string-utils.ts`, "", "does not say what it is for"],
  ["a file is too long", `${server}/core/a.ts`, "\n".repeat(301), "has 301 lines"],
  ["a stage writes to the console", `${server}/auth/a.ts`, 'console.error("x");', "console"],
  ["a shell is run", `${server}/hooks/a.ts`, 'import { exec } from "node:child_process";', "runs a shell"],
  [
    "a shell is run by another name",
    `${server}/hooks/a.ts`,
    'import * as c from "node:child_process"; c.execSync("ls");',
    "runs a shell",
  ],
  ["a shell is asked for", `${server}/hooks/a.ts`, 'spawn("ls", [], { shell: true });', "runs a shell"],
];

test.each(wrong)("a breach is found: %s", async (_title, path, text, breach) => {
  expect(breaches([await readModule(path, text)], dependencies).join("\n")).toContain(breach);
});

const right: [path: string, text: string][] = [
  [
    `${server}/compose.ts`,
    'import "./store/sqlite.ts"; import "./drivers/openvpn/driver.ts"; import "./hooks/veto.ts";',
  ],
  [`${server}/hooks/veto.ts`, 'import "../runner/runner.ts"; import "../core/hook.ts"; import "./dispatch.ts";'],
  [`${server}/drivers/openvpn/driver.ts`, 'import "../driver.ts"; import "./codec.ts"; import "../../core/secret.ts";'],
  [
    `${server}/runner/python/host.ts`,
    'import "../spawn.ts"; new URL("../../../../sdk/python/host.py", import.meta.url);',
  ],
  [`${server}/runner/typescript/types.ts`, 'new URL("../../../../sdk/typescript/index.ts", import.meta.url);'],
  [`${server}/cli/user.ts`, 'import "../compose.ts"; console.log("done");'],
  [`${server}/core/quote.ts`, "// import './x.ts'\nconst text = `import \"../store/store.ts\"`; /['\"]/.test(text);"],
];

test.each(right)("what is allowed passes: %s", async (path, text) => {
  expect(breaches([await readModule(path, text)], dependencies)).toEqual([]);
});

test("every room of the design has a floor", () => {
  const rooms = [
    "main.ts",
    "compose.ts",
    "lifecycle.ts",
    "core/a.ts",
    "accounts/a.ts",
    "auth/steps/a.ts",
    "radius/a.ts",
  ];
  const more = ["store/migrations/001.ts", "api/routes/a.ts", "cli/a.ts", "config/load.ts", "drivers/wireguard/a.ts"];
  expect([...rooms, ...more].filter((room) => placeOf(`${server}/${room}`) === undefined)).toEqual([]);
});
