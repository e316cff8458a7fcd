import { SallyportError } from "../core/errors.ts";
import type { Properties, PropertyOwner } from "../core/properties.ts";
import type { ClientScriptStore, ScriptOwner, ScriptScope } from "../store/client-script-store.ts";
import type { AccountStore } from "../store/store.ts";
import type { ClientScriptDefinitions } from "./definitions.ts";
import { cellOfProperty, nameOfCell, propertyOfCell } from "./select.ts";

/**
 * The accounts with scripts for users' machines among the properties of groups and the default, under Access Server's
 * names (`prop_cli.script.win.user.connect`): setting one makes a version, deleting it takes the script out. On a user
 * such a property stays what it is: the user's own script, which stands before the group's.
 */
export function withScriptProperties(options: {
  accounts: AccountStore;
  scripts: Pick<ClientScriptDefinitions, "set" | "delete">;
  store: Pick<ClientScriptStore, "list" | "get">;
}): AccountStore {
  const { accounts, scripts, store } = options;

  async function scriptsOf(owner: PropertyOwner): Promise<Properties> {
    const whose = ownerOf(owner);
    if (whose === undefined) return {};
    const live = await Promise.all((await store.list(whose)).map(({ scope }) => store.get(scope)));
    return Object.fromEntries(live.flatMap((one) => (one ? [[propertyOfCell(one.scope), one.text]] : [])));
  }

  return {
    ...accounts,

    async properties(owner) {
      return { ...(await accounts.properties(owner)), ...(await scriptsOf(owner)) };
    },

    async setProperties(owner, values) {
      const rest: Record<string, string> = {};
      for (const [key, value] of Object.entries(values)) {
        const scope = scopeOf(owner, key);
        if (scope === undefined) rest[key] = value;
        else if ((await store.get(scope))?.text !== value)
          await scripts.set({ scope, name: nameOfCell(scope), text: value, by: "property" });
      }
      if (Object.keys(rest).length > 0) await accounts.setProperties(owner, rest);
    },

    async deleteProperty(owner, key) {
      const scope = scopeOf(owner, key);
      if (scope === undefined) return await accounts.deleteProperty(owner, key);
      const before = await accounts.deleteProperty(owner, key);
      try {
        await scripts.delete(scope);
        return true;
      } catch (error) {
        if (error instanceof SallyportError && error.code === "not-found") return before;
        throw error;
      }
    },

    async allProperties() {
      const all = await accounts.allProperties();
      const groups = (await accounts.groups()).map(({ id }): PropertyOwner => ({ kind: "group", name: id }));
      const owners: PropertyOwner[] = [...groups, { kind: "default" }];
      const users = all.filter(({ owner }) => owner.kind === "user");
      const others = await Promise.all(
        owners.map(async (owner) => {
          const own = all.find((one) => nameOf(one.owner) === nameOf(owner))?.properties ?? {};
          return { owner, properties: { ...own, ...(await scriptsOf(owner)) } };
        }),
      );
      return [...users, ...others.filter(({ properties }) => Object.keys(properties).length > 0)];
    },
  };
}

function scopeOf(owner: PropertyOwner, key: string): ScriptScope | undefined {
  const whose = ownerOf(owner);
  const cell = cellOfProperty(key);
  return whose === undefined || cell === undefined ? undefined : { owner: whose, ...cell };
}

function ownerOf(owner: PropertyOwner): ScriptOwner | undefined {
  if (owner.kind === "default") return owner;
  return owner.kind === "group" ? { kind: "group", name: owner.name } : undefined;
}

function nameOf(owner: PropertyOwner): string {
  return owner.kind === "default" ? "default" : `${owner.kind} ${owner.name}`;
}
