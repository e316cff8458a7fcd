import type { Transaction } from "kysely";
import type { User } from "../core/account.ts";
import type { Properties, PropertyOwner } from "../core/properties.ts";
import { deleteScriptsOf } from "./client-scripts.ts";
import type { Database } from "./database.ts";
import type { Tables } from "./schema.ts";
import type { AccountStore } from "./store.ts";

type UserRow = Tables["users"];

export function accountStore({ query, transaction }: Database): AccountStore {
  async function update(id: string, values: Partial<UserRow>): Promise<boolean> {
    const result = await query.updateTable("users").set(values).where("id", "=", id).executeTakeFirst();
    return result.numUpdatedRows > 0n;
  }

  async function remove(kind: "user" | "group", name: string): Promise<boolean> {
    return transaction(async (trx) => {
      const table = kind === "user" ? "users" : "groups";
      const { numDeletedRows } = await trx.deleteFrom(table).where("id", "=", name).executeTakeFirst();
      if (numDeletedRows === 0n) return false;
      await trx.deleteFrom("properties").where("owner_kind", "=", kind).where("owner_name", "=", name).execute();
      if (kind === "group") await deleteScriptsOf(trx, name);
      return true;
    });
  }

  return {
    async addUser({ id, passwordDigest, at }) {
      const result = await query
        .insertInto("users")
        .values({ id, password_digest: passwordDigest, disabled: 0, created_at: at })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
    },

    async user(id) {
      const row = await query.selectFrom("users").selectAll().where("id", "=", id).executeTakeFirst();
      return row && { ...userOf(row), passwordDigest: row.password_digest };
    },

    async users() {
      const rows = await query.selectFrom("users").selectAll().orderBy("id").execute();
      return rows.map(userOf);
    },

    setDisabled: (id, disabled) => update(id, { disabled: disabled ? 1 : 0 }),
    setPasswordDigest: (id, digest) => update(id, { password_digest: digest }),
    deleteUser: (id) => remove("user", id),

    async addGroup({ id, createdAt }) {
      const result = await query
        .insertInto("groups")
        .values({ id, created_at: createdAt })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
    },

    async group(id) {
      const row = await query.selectFrom("groups").selectAll().where("id", "=", id).executeTakeFirst();
      return row && { id: row.id, createdAt: row.created_at };
    },

    async groups() {
      const rows = await query.selectFrom("groups").selectAll().orderBy("id").execute();
      return rows.map((row) => ({ id: row.id, createdAt: row.created_at }));
    },

    deleteGroup: (id) => remove("group", id),

    async properties(owner) {
      const rows = await query
        .selectFrom("properties")
        .select(["key", "value"])
        .where("owner_kind", "=", owner.kind)
        .where("owner_name", "=", nameOf(owner))
        .orderBy("key")
        .execute();
      return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
    },

    setProperties: (owner, values) => transaction((trx) => writeProperties(trx, owner, values)),

    async deleteProperty(owner, key) {
      const result = await query
        .deleteFrom("properties")
        .where("owner_kind", "=", owner.kind)
        .where("owner_name", "=", nameOf(owner))
        .where("key", "=", key)
        .executeTakeFirst();
      return result.numDeletedRows > 0n;
    },

    async swapProperty(owner, { key, from, to }) {
      const place = { owner_kind: owner.kind, owner_name: nameOf(owner), key };
      if (from === null) {
        const { numInsertedOrUpdatedRows = 0n } = await query
          .insertInto("properties")
          .values({ ...place, value: to })
          .onConflict((conflict) => conflict.doNothing())
          .executeTakeFirstOrThrow();
        return numInsertedOrUpdatedRows > 0n;
      }
      const { numUpdatedRows } = await query
        .updateTable("properties")
        .set({ value: to })
        .where("owner_kind", "=", place.owner_kind)
        .where("owner_name", "=", place.owner_name)
        .where("key", "=", key)
        .where("value", "=", from)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    async allProperties() {
      const rows = await query
        .selectFrom("properties")
        .selectAll()
        .orderBy("owner_kind")
        .orderBy("owner_name")
        .orderBy("key")
        .execute();
      const owners = new Map<string, { owner: PropertyOwner; entries: [string, string][] }>();
      for (const row of rows) {
        const id = `${row.owner_kind} ${row.owner_name}`;
        const found = owners.get(id) ?? { owner: ownerOf(row.owner_kind, row.owner_name), entries: [] };
        found.entries.push([row.key, row.value]);
        owners.set(id, found);
      }
      return [...owners.values()].map(({ owner, entries }) => ({ owner, properties: Object.fromEntries(entries) }));
    },
  };
}

/** Overlays `values` on the owner's properties; what is not named stays. Also for admission, in its transaction. */
export async function writeProperties(
  trx: Transaction<Tables>,
  owner: PropertyOwner,
  values: Properties,
): Promise<void> {
  const rows = Object.entries(values).map(([key, value]) => ({
    owner_kind: owner.kind,
    owner_name: nameOf(owner),
    key,
    value,
  }));
  if (rows.length === 0) return;
  await trx
    .insertInto("properties")
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(["owner_kind", "owner_name", "key"]).doUpdateSet((eb) => ({ value: eb.ref("excluded.value") })),
    )
    .execute();
}

function nameOf(owner: PropertyOwner): string {
  return owner.kind === "default" ? "" : owner.name;
}

function ownerOf(kind: PropertyOwner["kind"], name: string): PropertyOwner {
  return kind === "default" ? { kind } : { kind, name };
}

function userOf(row: UserRow): User {
  return {
    id: row.id,
    disabled: row.disabled !== 0,
    hasPassword: row.password_digest !== null,
    createdAt: row.created_at,
  };
}
