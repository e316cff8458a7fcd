import { builtinModules } from "node:module";
import type { Module } from "./read-module.ts";

/** Where a module lives: the floor decides what it may import, the room keeps neighbours apart. */
type Place = { floor: Floor; room: string };

type Floor =
  | "main"
  | "cli"
  | "compose"
  | "api"
  | "lifecycle"
  | "peer"
  | "port"
  | "adapter"
  | "config"
  | "core"
  | "protocol"
  | "sdk"
  | "agent"
  | "web";

const peers = ["accounts", "auth", "post-auth", "connections", "hooks", "client-configs", "client-scripts"];
const ports: Record<string, string> = {
  "drivers/driver.ts": "drivers",
  "network/network.ts": "network",
  "runner/runner.ts": "runner",
  "store/store.ts": "store",
  "store/client-config-store.ts": "store",
  "store/client-script-store.ts": "store",
  "store/script-store.ts": "store",
};

/** Undefined for a file that has no place in the house. */
export function placeOf(path: string): Place | undefined {
  const [, name, , ...rest] = path.split("/");
  if (name === "protocol" || name === "sdk" || name === "agent" || name === "web") return { floor: name, room: name };
  const inside = rest.join("/");
  const top = rest[0] ?? "";
  if (name !== "server" || !path.startsWith("packages/server/src/")) return undefined;
  if (inside === "main.ts" || inside === "lifecycle.ts" || inside === "compose.ts") {
    const floor = inside.slice(0, -3) as "main" | "lifecycle" | "compose";
    return { floor, room: floor };
  }
  if (ports[inside] !== undefined) return { floor: "port", room: ports[inside] };
  if (top === "radius") return { floor: "port", room: "radius" };
  if (top === "drivers" || top === "network" || top === "runner") {
    // drivers/openvpn/ is a room of its own; a file beside the port serves all rooms of that port.
    return { floor: "adapter", room: rest.length > 2 ? `${top}/${rest[1]}` : top };
  }
  if (top === "store") return { floor: "adapter", room: "store" };
  if (peers.includes(top)) return { floor: "peer", room: top };
  if (rest.length > 1 && (top === "core" || top === "api" || top === "cli" || top === "config" || top === "compose")) {
    return { floor: top, room: top };
  }
  return undefined;
}

/** Floors whose every room may be imported from the given one, beside the module's own room. */
const below: Record<Floor, readonly Floor[]> = {
  main: ["cli", "compose", "api", "lifecycle", "peer", "port", "config", "core", "protocol"],
  cli: ["compose", "api", "lifecycle", "peer", "port", "config", "core", "protocol"],
  compose: ["api", "lifecycle", "peer", "port", "adapter", "config", "core", "protocol", "sdk"],
  api: ["lifecycle", "peer", "port", "core", "protocol"],
  lifecycle: ["peer", "port", "core", "protocol"],
  peer: ["port", "core", "protocol"],
  adapter: ["core", "protocol", "sdk"],
  port: ["core", "protocol"],
  config: ["core"],
  core: [],
  protocol: [],
  sdk: ["protocol"],
  agent: ["protocol"],
  web: ["protocol"],
};

function mayImport(from: Place, to: Place): boolean {
  if (from.floor === to.floor && from.room === to.room) return true;
  if (from.floor === "adapter") {
    const port = from.room.split("/")[0];
    if (to.floor === "port" && to.room === port) return true;
    if (to.floor === "adapter" && to.room === port) return true;
  }
  return below[from.floor].includes(to.floor);
}

/** The one file that may grow beyond the limit: a table, one entry an error. */
const longFiles = ["packages/server/src/core/error-table.ts"];
const longestLines = 300;

const vagueNames = /(^|[/-])(utils?|helpers?|managers?|common)([/.-]|$)/;

/** Every breach of the house's rules, one sentence each; `dependencies` are the npm packages a workspace declares. */
export function breaches(modules: readonly Module[], dependencies: (workspace: string) => readonly string[]): string[] {
  const found: string[] = [];
  for (const module of modules) {
    const say = (breach: string) => found.push(`${module.path} ${breach}`);
    const from = placeOf(module.path);
    if (from === undefined) {
      say("has no place in the house");
      continue;
    }
    for (const path of module.ours) {
      const to = placeOf(path);
      if (path.split("/")[1] !== module.path.split("/")[1] && module.imported.includes(path)) {
        say(`reaches into another package by path: ${path}`);
      } else if (to === undefined || !mayImport(from, to)) {
        say(`(${from.floor}) imports ${path} (${to?.floor ?? "no place"})`);
      }
    }
    const workspace = module.path.split("/")[1] ?? "";
    for (const name of module.packages) {
      if (builtinModules.includes(name)) {
        say(`imports ${name} without node:`);
        continue;
      }
      if (!dependencies(workspace).includes(name)) say(`imports ${name}, which its package.json does not declare`);
      if (!name.startsWith("@sallyport/")) continue;
      const sibling = placeOf(`packages/${name.slice("@sallyport/".length)}/src/index.ts`);
      if (sibling === undefined || !mayImport(from, sibling)) say(`(${from.floor}) imports ${name}`);
    }
    for (const habit of module.habits) {
      if (habit === "writes to the console" && module.path.includes("/src/cli/")) continue;
      say(habit);
    }
    if (module.lines > longestLines && !longFiles.includes(module.path)) say(`has ${module.lines} lines`);
    if (vagueNames.test(module.path)) say("has a name that does not say what it is for");
  }
  return found;
}

/** Files that import one another in a circle, types too: each circle once, from the file where it was entered. */
export function circles(modules: readonly Pick<Module, "path" | "imported">[]): string[] {
  const imports = new Map(modules.map(({ path, imported }) => [path, imported]));
  const seen = new Set<string>();
  const found: string[] = [];
  const enter = (path: string, way: readonly string[]): void => {
    const from = way.indexOf(path);
    if (from !== -1) found.push([...way.slice(from), path].join(" -> "));
    if (from !== -1 || seen.has(path)) return;
    seen.add(path);
    for (const next of imports.get(path) ?? []) enter(next, [...way, path]);
  };
  for (const path of imports.keys()) enter(path, []);
  return found;
}
