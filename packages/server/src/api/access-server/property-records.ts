import type { Directory } from "../../accounts/directory.ts";
import { SallyportError } from "../../core/errors.ts";
import { maskSecrets, type Properties, type PropertyOwner } from "../../core/properties.ts";
import { Secret } from "../../core/secret.ts";
import type { AccountStore } from "../../store/store.ts";

/** Behind everybody, in Access Server's spelling. */
export const defaultName = "__DEFAULT__";

const userTypes: readonly string[] = ["user_connect", "user_compile", "user_default"];

/**
 * Users, groups and the default as Access Server sees them: one record of properties a name, all in one name space. A
 * record comes into being with its first property; `type` says what it is of, and deleting the record deletes the thing.
 */
export type PropertyRecords = {
  /** All, or those of these names or of this type. Secrets are masked. */
  get(filter?: { name?: string; type?: string }): Promise<Record<string, Properties>>;
  put(name: string, key: string, value: string): Promise<void>;
  /** A property that is not there is deleted already. */
  delete(name: string, key: string): Promise<void>;
  /** Errors: `not-found` where there is no such record. */
  deleteAll(name: string): Promise<void>;
  /** Errors: `conflict` for a group's name. */
  setPassword(name: string, password: Secret): Promise<void>;
  removePassword(name: string): Promise<void>;
};

export type PropertyRecordsOptions = {
  accounts: AccountStore;
  directory: Directory;
  /** Ends a user's connections as `disabled`, and tells how many. */
  endConnections(userId: string): Promise<number>;
};

export function propertyRecords({ accounts, directory, endConnections }: PropertyRecordsOptions): PropertyRecords {
  const ownerOf = async (name: string): Promise<PropertyOwner> => {
    if (name === defaultName) return { kind: "default" };
    return { kind: (await accounts.group(name)) ? "group" : "user", name };
  };
  const recordIn = async (owner: PropertyOwner): Promise<void> => {
    if (owner.kind === "user") await directory.addUser({ id: owner.name, password: undefined });
  };
  const userOnly = (owner: PropertyOwner, what: string): string => {
    if (owner.kind === "user") return owner.name;
    const whose = owner.kind === "default" ? defaultName : `the group ${JSON.stringify(owner.name)}`;
    throw new SallyportError("conflict", `${whose} cannot have ${what}: only users can`);
  };

  /** A record without a password may have been begun before it was said that it is a group's. */
  const becomeGroup = async (name: string): Promise<void> => {
    if (name === defaultName) throw new SallyportError("conflict", `${defaultName} cannot be a group`);
    if (await accounts.group(name)) return;
    const user = await accounts.user(name);
    if (user?.hasPassword) throw new SallyportError("conflict", `${JSON.stringify(name)} is a user with a password`);
    await directory.addGroup(name);
    if (user === undefined) return;
    const { type: _type, ...begun } = await accounts.properties({ kind: "user", name });
    await directory.setProperties({ kind: "group", name }, begun);
    await accounts.deleteUser(name);
  };

  const putType = async (name: string, owner: PropertyOwner, value: string): Promise<void> => {
    if (value === "group") return await becomeGroup(name);
    if (!userTypes.includes(value)) {
      throw new SallyportError("invalid-input", `type must be one of ${[...userTypes, "group"].join(", ")}`);
    }
    if (owner.kind === "group") throw new SallyportError("conflict", `${JSON.stringify(name)} is a group`);
    if (owner.kind === "default") return;
    await recordIn(owner);
    await directory.setProperties(owner, { type: value });
  };

  return {
    async get({ name, type } = {}) {
      const [users, groups, all] = await Promise.all([accounts.users(), accounts.groups(), accounts.allProperties()]);
      const records = new Map<string, Properties>([[defaultName, { type: "user_default" }]]);
      for (const user of users) {
        records.set(user.id, {
          type: "user_connect",
          ...(user.hasPassword && { pvt_password_digest: "[secret]" }),
          ...(user.disabled && { prop_deny: "true" }),
        });
      }
      const groupFacts = { group_declare: "true", type: "group" };
      for (const { id } of groups) records.set(id, groupFacts);
      const isGroup = new Set(groups.map(({ id }) => id));
      for (const { owner, properties } of all) {
        const id = owner.kind === "default" ? defaultName : owner.name;
        if (owner.kind === "user" && isGroup.has(id)) continue;
        const facts = owner.kind === "group" ? groupFacts : undefined;
        const begun = records.get(id) ?? { type: "user_connect" };
        const denied = begun.prop_deny === undefined ? undefined : { prop_deny: begun.prop_deny };
        records.set(id, { ...begun, ...maskSecrets(properties), ...denied, ...facts });
      }
      const wanted = [...records].filter(
        ([id, record]) => (name === undefined || id === name) && (type === undefined || record.type === type),
      );
      return Object.fromEntries(wanted.sort(byName).map(([id, record]) => [id, sorted(record)]));
    },

    async put(name, key, value) {
      const owner = await ownerOf(name);
      if (key === "type") return await putType(name, owner, value);
      if (key === "group_declare" && value === "true") return await becomeGroup(name);
      if (key === "def_deny" && value !== "false") {
        throw new SallyportError(
          "invalid-input",
          "def_deny (only users with a record) is not known here: set prop_deny true on __DEFAULT__ and false on each user",
        );
      }
      if (key === "pvt_password_digest") {
        const user = userOnly(owner, "a password");
        const sha256 = sha256Of(value);
        await recordIn(owner);
        await directory.adoptPassword(user, sha256);
        return;
      }
      await recordIn(owner);
      await directory.setProperties(owner, { [key]: value });
    },

    async delete(name, key) {
      const owner = await ownerOf(name);
      if (key === "pvt_password_digest") await directory.removePassword(userOnly(owner, "a password"));
      else await accounts.deleteProperty(owner, key);
    },

    async deleteAll(name) {
      const owner = await ownerOf(name);
      if (owner.kind === "group") {
        await accounts.deleteGroup(owner.name);
        return;
      }
      const keys = Object.keys(await accounts.properties(owner));
      const isThere = owner.kind === "default" || keys.length > 0 || (await accounts.user(owner.name)) !== undefined;
      if (!isThere) throw new SallyportError("not-found", `there is no user or group ${JSON.stringify(name)}`);
      if (owner.kind === "user") await accounts.deleteUser(owner.name);
      for (const key of keys) await accounts.deleteProperty(owner, key);
      if (owner.kind === "user") await endConnections(owner.name);
    },

    async setPassword(name, password) {
      const id = userOnly(await ownerOf(name), "a password");
      if (await directory.setPassword(id, password)) return;
      await directory.addUser({ id, password });
    },

    async removePassword(name) {
      const id = userOnly(await ownerOf(name), "a password");
      if (!(await directory.removePassword(id))) {
        throw new SallyportError("not-found", `there is no user ${JSON.stringify(id)}`);
      }
    },
  };
}

/**
 * Of the forms that Access Server keeps passwords in, only the bare SHA-256 is published exactly enough to be checked
 * against. (Since 2.10.1 it writes PBKDF2 or scrypt, whose text form is not.) Errors: `invalid-input`.
 */
export function sha256Of(digest: string): Secret {
  if (/^[0-9a-f]{64}$/i.test(digest)) return new Secret(digest);
  throw new SallyportError(
    "invalid-input",
    "only a password's SHA-256 (64 hexadecimal digits) can be taken over; set a new password with SetLocalPassword",
  );
}

function sorted(properties: Properties): Properties {
  return Object.fromEntries(Object.entries(properties).sort(byName));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
