import { z } from "zod";
import type { Directory } from "../../accounts/directory.ts";
import { whyNoScript } from "../../client-scripts/select.ts";
import type { AccountLookup } from "../../core/account.ts";
import { SallyportError } from "../../core/errors.ts";
import { maskSecrets, type Properties, type PropertyOwner } from "../../core/properties.ts";
import type { AccountStore } from "../../store/store.ts";
import { type CommandTable, command } from "../command.ts";
import { key, name, text } from "../input.ts";

/** `id` is the key again: every thing in a list has one. */
export type PropertyValue = { id: string; key: string; value: string; from: PropertyOwner["kind"] };

const owner = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("user"), name }),
  z.strictObject({ kind: z.literal("group"), name }),
  z.strictObject({ kind: z.literal("default") }),
]);

/** Properties of a user (a directory's, too, who has no account here), a group, or the default behind everybody. */
export function propertyCommands(deps: {
  accounts: Pick<AccountStore, "properties" | "group" | "deleteProperty">;
  directory: Pick<Directory, "setProperties">;
  lookup: Pick<AccountLookup, "resolve">;
}): CommandTable {
  const { accounts } = deps;

  const mustExist = async (of: PropertyOwner): Promise<void> => {
    if (of.kind === "group" && !(await accounts.group(of.name))) {
      throw new SallyportError("not-found", `there is no group ${JSON.stringify(of.name)}`);
    }
  };
  /** Where a user has no such property, the group's or the default's that holds instead. */
  const inherited = async (of: PropertyOwner, wanted: string): Promise<PropertyValue | undefined> => {
    if (of.kind !== "user") return undefined;
    const { properties } = await deps.lookup.resolve(of.name);
    const value = own(properties, wanted);
    if (value === undefined) return undefined;
    const behind = await accounts.properties({ kind: "default" });
    const group = own(properties, "conn_group");
    const ofGroup = group === undefined ? {} : await accounts.properties({ kind: "group", name: group });
    const from = own(ofGroup, wanted) === undefined && own(behind, wanted) !== undefined ? "default" : "group";
    return { id: wanted, key: wanted, value, from };
  };

  return {
    "property-set": command({
      summary: "Sets a property.",
      input: z.strictObject({ owner, key, value: text }),
      run: async ({ owner: of, key: wanted, value }): Promise<PropertyValue & { unread?: string }> => {
        await mustExist(of);
        await deps.directory.setProperties(of, { [wanted]: value });
        const unread = whyNoScript(wanted);
        return { ...masked({ id: wanted, key: wanted, value, from: of.kind }), ...(unread !== null && { unread }) };
      },
    }),
    "property-get": command({
      summary: "A property's value; for a user also one inherited from the group or the default.",
      input: z.strictObject({ owner, key }),
      run: async ({ owner: of, key: wanted }): Promise<PropertyValue> => {
        await mustExist(of);
        const value = own(await accounts.properties(of), wanted);
        const found =
          value === undefined ? await inherited(of, wanted) : { id: wanted, key: wanted, value, from: of.kind };
        if (!found) throw new SallyportError("not-found", `${wanted} is not set for ${describe(of)}`);
        return masked(found);
      },
    }),
    "property-list": command({
      summary: "All of an owner's own properties.",
      input: z.strictObject({ owner }),
      run: async ({ owner: of }): Promise<PropertyValue[]> => {
        await mustExist(of);
        const properties = Object.entries(await accounts.properties(of)).sort(([a], [b]) => (a < b ? -1 : 1));
        return properties.map(([id, value]) => masked({ id, key: id, value, from: of.kind }));
      },
    }),
    "property-delete": command({
      summary: "Deletes a property of an owner's own.",
      input: z.strictObject({ owner, key }),
      run: async ({ owner: of, key: wanted }) => {
        if (!(await accounts.deleteProperty(of, wanted))) {
          throw new SallyportError("not-found", `${wanted} is not set for ${describe(of)}`);
        }
        return { id: wanted };
      },
    }),
  };
}

function own(properties: Properties, wanted: string): string | undefined {
  return Object.hasOwn(properties, wanted) ? properties[wanted] : undefined;
}

function masked(property: PropertyValue): PropertyValue {
  return { ...property, value: maskSecrets({ [property.key]: property.value })[property.key] ?? property.value };
}

function describe(of: PropertyOwner): string {
  return of.kind === "default" ? "the default" : `the ${of.kind} ${JSON.stringify(of.name)}`;
}
