import { z } from "zod";
import type { Directory } from "../../accounts/directory.ts";
import type { AccountLookup, User } from "../../core/account.ts";
import { SallyportError } from "../../core/errors.ts";
import { maskSecrets, type Properties } from "../../core/properties.ts";
import type { AccountStore } from "../../store/store.ts";
import { type CommandTable, command } from "../command.ts";
import { name, secret } from "../input.ts";

export type UserDetails = User & {
  /** The group in force, from the user's own record or the default's. */
  group: string | null;
  /** The user's own record. */
  properties: Properties;
  /** What holds after the lookup order: user, its group, default. */
  effectiveProperties: Properties;
};

export type UserEnded = { id: string; endedConnections: number; revokedClientConfigs?: number };

/** Local accounts. Disabling and deleting end the account's connections too. */
export function userCommands(deps: {
  accounts: Pick<AccountStore, "user" | "users" | "setDisabled" | "deleteUser" | "properties">;
  directory: Pick<Directory, "addUser" | "setPassword">;
  lookup: Pick<AccountLookup, "resolve">;
  /** Ends a user's connections as `disabled`, and tells how many. */
  endConnections(userId: string): Promise<number>;
  /** Asks about devices again that connect by themselves (WireGuard). */
  readmitDevices(userId: string): Promise<void>;
  /** Makes the user's client configs useless, and tells how many. */
  revokeDevices(userId: string): Promise<number>;
}): CommandTable {
  const { accounts } = deps;
  const byName = z.strictObject({ name });
  const existing = async (id: string): Promise<User> => {
    const found = await accounts.user(id);
    if (!found) throw unknown(id);
    const { disabled, hasPassword, createdAt } = found;
    return { id: found.id, disabled, hasPassword, createdAt };
  };
  const unknown = (id: string) => new SallyportError("not-found", `there is no user ${JSON.stringify(id)}`);

  return {
    "user-add": command({
      summary: "Adds a local account; without a password it cannot log in by the local method.",
      input: z.strictObject({ name, password: secret.optional() }),
      run: async ({ name: id, password }) => {
        if (!(await deps.directory.addUser({ id, password }))) {
          throw new SallyportError("already-exists", `there is a user ${JSON.stringify(id)} already`);
        }
        return await existing(id);
      },
    }),
    "user-list": command({
      summary: "All local accounts.",
      input: z.strictObject({}),
      run: async () => await accounts.users(),
    }),
    "user-show": command({
      summary: "One account, its properties, and those in force for it.",
      input: byName,
      run: async ({ name: id }): Promise<UserDetails> => {
        const user = await existing(id);
        const own = await accounts.properties({ kind: "user", name: id });
        const { properties } = await deps.lookup.resolve(id);
        return {
          ...user,
          group: properties.conn_group ?? null,
          properties: maskSecrets(own),
          effectiveProperties: maskSecrets(properties),
        };
      },
    }),
    "user-disable": command({
      summary: "Refuses an account from now on, and ends its connections.",
      input: byName,
      run: async ({ name: id }) => {
        if (!(await accounts.setDisabled(id, true))) throw unknown(id);
        return { ...(await existing(id)), endedConnections: await deps.endConnections(id) };
      },
    }),
    "user-enable": command({
      summary: "Lets a disabled account in again.",
      input: byName,
      run: async ({ name: id }) => {
        if (!(await accounts.setDisabled(id, false))) throw unknown(id);
        await deps.readmitDevices(id);
        return await existing(id);
      },
    }),
    "user-delete": command({
      summary: "Deletes an account with its properties, revokes its client configs, and ends its connections.",
      input: byName,
      run: async ({ name: id }): Promise<UserEnded> => {
        if (!(await accounts.deleteUser(id))) throw unknown(id);
        // Without an account the defaults hold, which may let auto-login devices in.
        const revokedClientConfigs = await deps.revokeDevices(id);
        return { id, revokedClientConfigs, endedConnections: await deps.endConnections(id) };
      },
    }),
    "user-password": command({
      summary: "Sets an account's password; who is signed in with the old one signs in again.",
      input: z.strictObject({ name, password: secret }),
      run: async ({ name: id, password }) => {
        if (!(await deps.directory.setPassword(id, password))) throw unknown(id);
        return await existing(id);
      },
    }),
  };
}
