import { scriptEvents, scriptPlatforms, scriptPrivileges } from "@sallyport/protocol";
import { z } from "zod";
import type { ClientScriptDefinitions } from "../../client-scripts/definitions.ts";
import { scriptNameOf } from "../../client-scripts/select.ts";
import type { ListedKey, SigningKeys } from "../../client-scripts/signing-keys.ts";
import type {
  ListedScopedScript,
  ScopedScript,
  ScopedVariable,
  ScriptOwner,
  ScriptScope,
} from "../../store/client-script-store.ts";
import { type CommandTable, command } from "../command.ts";
import { name, text } from "../input.ts";

/** A scope as it is written and shown: `groupId` null stands for the default. */
export type ShownScope = { groupId: string | null } & Omit<ScriptScope, "owner">;
/** `id` names scope and version: `group:eng/linux/user/connect@3`. */
export type ListedClientScript = { id: string } & ShownScope & Omit<ListedScopedScript, "scope">;
export type ShownClientScript = { id: string } & ShownScope & Omit<ScopedScript, "scope">;
export type ShownVariable = { id: string } & ShownScope & { name: string; value: string };
export type ShownKeys = { serverId: string; keys: ListedKey[]; comments: Record<string, string[]> };

const owner = { groupId: name.nullable() };
const scope = {
  ...owner,
  platform: z.enum(scriptPlatforms),
  privilege: z.enum(scriptPrivileges),
  event: z.enum(scriptEvents),
};
const version = z.int().min(1).max(1e9);
const variable = z.string().max(200);

/** Scripts for users' machines: which, for whom, and the keys that sign them. */
export function clientScriptCommands(deps: {
  scripts: ClientScriptDefinitions;
  keys: SigningKeys;
  /** What client configs of a profile tell agents, by the profile's id. */
  comments: () => Promise<Record<string, string[]>>;
}): CommandTable {
  const { scripts, keys } = deps;
  const shownKeys = async (): Promise<ShownKeys> => ({
    serverId: keys.serverId(),
    keys: keys.list(),
    comments: await deps.comments(),
  });

  return {
    "client-script-set": command({
      summary: "Makes a text the script of its scope, from the next connect on.",
      input: z.strictObject({ ...scope, file: z.string().max(4096), text, by: name }),
      run: async ({ file, text: content, by, ...where }) =>
        listed(await scripts.set({ scope: scopeOf(where), name: scriptNameOf(file), text: content, by })),
    }),
    "client-script-list": command({
      summary: "The scripts that are live, and the variables; of one owner, or all.",
      input: z.strictObject({ groupId: name.nullable().optional() }),
      run: async ({ groupId }) =>
        (await scripts.list(groupId === undefined ? undefined : ownerOf(groupId))).map(listed),
    }),
    "client-script-show": command({
      summary: "A version's text; the live one unless one is named.",
      input: z.strictObject({ ...scope, version: version.optional() }),
      run: async ({ version: wanted, ...where }): Promise<ShownClientScript> => {
        const { scope: found, ...script } = await scripts.show(scopeOf(where), wanted);
        return { id: idOf(found, script.version), ...shown(found), ...script };
      },
    }),
    "client-script-versions": command({
      summary: "All versions of a scope, without their texts.",
      input: z.strictObject(scope),
      run: async (where) => (await scripts.versions(scopeOf(where))).map(listed),
    }),
    "client-script-delete": command({
      summary: "Takes a script out; its versions stay.",
      input: z.strictObject(scope),
      run: async (where) => {
        await scripts.delete(scopeOf(where));
        return { id: idOf(scopeOf(where)) };
      },
    }),
    "client-script-env-set": command({
      summary: "Sets a variable for the scripts of a scope.",
      input: z.strictObject({ ...scope, name: variable, value: text }),
      run: async ({ name: key, value, ...where }): Promise<ShownVariable> => {
        const one = { scope: scopeOf(where), name: key, value };
        await scripts.setVariable(one);
        return shownVariable(one);
      },
    }),
    "client-script-env-delete": command({
      summary: "Deletes a variable of a scope.",
      input: z.strictObject({ ...scope, name: variable }),
      run: async ({ name: key, ...where }) => {
        await scripts.deleteVariable(scopeOf(where), key);
        return { id: `${idOf(scopeOf(where))}#${key}` };
      },
    }),
    "client-script-env-list": command({
      summary: "Variables, of one owner or all.",
      input: z.strictObject({ groupId: name.nullable().optional() }),
      run: async ({ groupId }) =>
        (await scripts.variables(groupId === undefined ? undefined : ownerOf(groupId))).map(shownVariable),
    }),
    "client-script-key-show": command({
      summary: "The keys that sign client scripts, and what client configs say of them.",
      input: z.strictObject({}),
      run: shownKeys,
    }),
    "client-script-key-rotate": command({
      summary: "A new key signs from now on; `announce`: client configs with the old one go on working.",
      input: z.strictObject({ announce: z.boolean().default(true) }),
      run: async ({ announce }): Promise<ShownKeys> => {
        await keys.rotate({ announce });
        return await shownKeys();
      },
    }),
  };
}

function scopeOf({ groupId, ...cell }: ShownScope): ScriptScope {
  return { owner: ownerOf(groupId), ...cell };
}

function ownerOf(groupId: string | null): ScriptOwner {
  return groupId === null ? { kind: "default" } : { kind: "group", name: groupId };
}

function shown({ owner: whose, platform, privilege, event }: ScriptScope): ShownScope {
  return { groupId: whose.kind === "group" ? whose.name : null, platform, privilege, event };
}

function idOf({ owner: whose, platform, privilege, event }: ScriptScope, number?: number): string {
  const id = [whose.kind === "group" ? `group:${whose.name}` : "default", platform, privilege, event].join("/");
  return number === undefined ? id : `${id}@${number}`;
}

function listed({ scope: where, ...script }: ListedScopedScript): ListedClientScript {
  return { id: idOf(where, script.version), ...shown(where), ...script };
}

function shownVariable({ scope: where, name: key, value }: ScopedVariable): ShownVariable {
  return { id: `${idOf(where)}#${key}`, ...shown(where), name: key, value };
}
