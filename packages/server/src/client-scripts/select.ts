import {
  type ClientScript,
  isScriptName,
  isVariableName,
  mostScriptBytes,
  type ScriptEvent,
  type ScriptPlatform,
  type ScriptPrivilege,
  scriptEvents,
  sha256,
} from "@sallyport/protocol";
import type { Properties } from "../core/properties.ts";
import type { ScopedScript, ScopedVariable } from "../store/client-script-store.ts";

type Platform = Exclude<ScriptPlatform, "all">;
type Cell = { platform: ScriptPlatform; privilege: ScriptPrivilege; event: ScriptEvent };

/** The property by which Access Server knows a script, on whoever it is set. */
export const scriptProperty = /^prop_cli\.script\.(all|win|mac|linux)\.(user|admin)\.(connect|disconnect)$/;

export function cellOfProperty(key: string): Cell | undefined {
  const [, platform, privilege, event] = scriptProperty.exec(key) ?? [];
  return platform === undefined ? undefined : ({ platform, privilege, event } as Cell);
}

/** Why nothing reads a property whose name begins as those of scripts do; null for all others. */
export function whyNoScript(key: string): string | null {
  if (!key.startsWith("prop_cli.script.") || scriptProperty.test(key)) return null;
  return "a script is prop_cli.script.PLATFORM.PRIVILEGE.EVENT, with all, win, mac or linux, then user or admin, then connect or disconnect";
}

export function propertyOfCell({ platform, privilege, event }: Cell): string {
  return `prop_cli.script.${platform}.${privilege}.${event}`;
}

/** OpenVPN's `IV_PLAT` as scripts know platforms; null for one that has none of its own. */
export function platformOf(reported: string | null | undefined): Platform | null {
  return reported === "win" || reported === "mac" || reported === "linux" ? reported : null;
}

/** A script of administrators' privileges runs before the user's, one for every platform before the platform's own. */
const privilegesInOrder: readonly ScriptPrivilege[] = ["admin", "user"];

/**
 * The scripts of a connection, in the order they run: in each cell the user's own property, else the group's script,
 * else the default's. An empty text runs nothing, and keeps those behind it away. Variables of the group stand over the
 * default's, and those of the platform over those for all.
 */
export function selectScripts(from: {
  /** The group's, and the default's. */
  live: readonly ScopedScript[];
  variables: readonly ScopedVariable[];
  /** Of the connection, after the post-auth scripts. */
  properties: Properties;
  group: string | null;
  /** Null: only what is for every platform. */
  platform: Platform | null;
  /** Whether scripts of administrators' privileges are handed out (`vpn.client.admin_scripts`). */
  adminScripts: boolean;
}): ClientScript[] {
  const { platform, adminScripts } = from;
  const platforms: ScriptPlatform[] = platform === null ? ["all"] : ["all", platform];
  return scriptEvents.flatMap((event) =>
    privilegesInOrder
      .filter((privilege) => privilege === "user" || adminScripts)
      .flatMap((privilege) => platforms.flatMap((one) => scriptIn({ platform: one, privilege, event }, from) ?? [])),
  );
}

function scriptIn(cell: Cell, from: Parameters<typeof selectScripts>[0]): ClientScript | undefined {
  const script = ownScript(cell, from.properties) ?? definedScript(cell, from);
  if (script === undefined || script.text.trim() === "") return undefined;
  const { name, text } = script;
  return { name, ...orderedCell(cell), sha256: sha256(text), text, environment: environmentOf(cell, from) };
}

/** What a user's own record has, or a post-auth script returned: no administrator may have looked at its form. */
function ownScript(cell: Cell, properties: Properties): { name: string; text: string } | undefined {
  const key = propertyOfCell(cell);
  const text = Object.hasOwn(properties, key) ? properties[key] : undefined;
  if (text === undefined) return undefined;
  const fits = text.isWellFormed() && !text.includes("\0") && Buffer.byteLength(text) <= mostScriptBytes;
  return { name: nameOfCell(cell), text: fits ? text : "" };
}

function definedScript(
  cell: Cell,
  { live, group }: Parameters<typeof selectScripts>[0],
): { name: string; text: string } | undefined {
  const inCell = live.filter(({ scope }) => isIn(cell, scope));
  const own = inCell.find(({ scope: { owner } }) => owner.kind === "group" && owner.name === group);
  return own ?? inCell.find(({ scope: { owner } }) => owner.kind === "default");
}

function environmentOf(cell: Cell, { variables, group }: Parameters<typeof selectScripts>[0]): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const owner of ["default", "group"] as const) {
    for (const platform of new Set<ScriptPlatform>(["all", cell.platform])) {
      for (const { scope, name, value } of variables) {
        const applies = scope.owner.kind === owner && (scope.owner.kind === "default" || scope.owner.name === group);
        if (applies && isIn({ ...cell, platform }, scope) && isVariableName(name)) environment[name] = value;
      }
    }
  }
  return environment;
}

function isIn(cell: Cell, scope: Cell): boolean {
  return scope.platform === cell.platform && scope.privilege === cell.privilege && scope.event === cell.event;
}

function orderedCell({ platform, privilege, event }: Cell): Cell {
  return { platform, privilege, event };
}

/** What a script is called that has no file: for people and reports. */
export function nameOfCell({ platform, privilege, event }: Cell): string {
  return `${platform}-${privilege}-${event}`;
}

/** The name of a file as the name of a script: whatever could lead astray on some platform becomes a line. */
export function scriptNameOf(file: string): string {
  const name = file
    .replace(/^.*[\\/]/s, "")
    .replaceAll(/[^A-Za-z0-9._ -]/g, "_")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 100)
    .trimEnd();
  return isScriptName(name) ? name : "script";
}
