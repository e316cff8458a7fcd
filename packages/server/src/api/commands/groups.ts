import { z } from "zod";
import type { Directory } from "../../accounts/directory.ts";
import type { AccountLookup, Group } from "../../core/account.ts";
import { SallyportError } from "../../core/errors.ts";
import { maskSecrets, type Properties } from "../../core/properties.ts";
import type { AccountStore } from "../../store/store.ts";
import { type CommandTable, command } from "../command.ts";
import { name } from "../input.ts";

export type GroupDetails = Group & { properties: Properties /** Canonical CIDRs. */; subnets: readonly string[] };

export function groupCommands(deps: {
  accounts: Pick<AccountStore, "group" | "groups" | "deleteGroup" | "properties">;
  directory: Pick<Directory, "addGroup">;
  lookup: Pick<AccountLookup, "group">;
}): CommandTable {
  const { accounts } = deps;
  const byName = z.strictObject({ name });
  const existing = async (id: string): Promise<Group> => {
    const found = await accounts.group(id);
    if (!found) throw unknown(id);
    return found;
  };
  const unknown = (id: string) => new SallyportError("not-found", `there is no group ${JSON.stringify(id)}`);

  return {
    "group-add": command({
      summary: "Adds a group.",
      input: byName,
      run: async ({ name: id }) => {
        if (!(await deps.directory.addGroup(id))) {
          throw new SallyportError("already-exists", `there is a group ${JSON.stringify(id)} already`);
        }
        return await existing(id);
      },
    }),
    "group-list": command({
      summary: "All groups.",
      input: z.strictObject({}),
      run: async () => await accounts.groups(),
    }),
    "group-show": command({
      summary: "One group with its properties and subnets.",
      input: byName,
      run: async ({ name: id }): Promise<GroupDetails> => {
        const group = await existing(id);
        const properties = maskSecrets(await accounts.properties({ kind: "group", name: id }));
        return { ...group, properties, subnets: (await deps.lookup.group(id))?.subnets ?? [] };
      },
    }),
    "group-delete": command({
      summary: "Deletes a group with its properties.",
      input: byName,
      run: async ({ name: id }) => {
        if (!(await accounts.deleteGroup(id))) throw unknown(id);
        return { id };
      },
    }),
  };
}
