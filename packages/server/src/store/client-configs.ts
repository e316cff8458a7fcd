import { SallyportError } from "../core/errors.ts";
import type { Database } from "./database.ts";
import type { ClientConfigTable } from "./schema.ts";
import type { ClientConfig, ClientConfigStore } from "./store.ts";

export function clientConfigStore({ query }: Database): ClientConfigStore {
  return {
    async add(config) {
      const result = await query
        .insertInto("client_configs")
        .values(rowOf(config))
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      if ((result.numInsertedOrUpdatedRows ?? 0n) > 0n) return;
      throw new SallyportError(
        "already-exists",
        `A client config ${config.id} or serial ${config.serial} exists already.`,
      );
    },

    async get(id) {
      const row = await query.selectFrom("client_configs").selectAll().where("id", "=", id).executeTakeFirst();
      return row && configOf(row);
    },

    async bySerial(serial) {
      const row = await query.selectFrom("client_configs").selectAll().where("serial", "=", serial).executeTakeFirst();
      return row && configOf(row);
    },

    async list(filter = {}) {
      let select = query.selectFrom("client_configs").selectAll().orderBy("created_at").orderBy("id");
      if (filter.userId !== undefined) select = select.where("user_id", "=", filter.userId);
      if (filter.profileId !== undefined) select = select.where("profile_id", "=", filter.profileId);
      return (await select.execute()).map(configOf);
    },

    async revoke(id, at) {
      const result = await query
        .updateTable("client_configs")
        .set({ revoked_at: at })
        .where("id", "=", id)
        .where("revoked_at", "is", null)
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    },
  };
}

function rowOf(config: ClientConfig): ClientConfigTable {
  return {
    id: config.id,
    user_id: config.userId,
    profile_id: config.profileId,
    kind: config.kind,
    protocol: config.protocol,
    connection_id: config.connectionId,
    serial: config.serial,
    created_at: config.createdAt,
    expires_at: config.expiresAt,
    revoked_at: config.revokedAt,
  };
}

function configOf(row: ClientConfigTable): ClientConfig {
  return {
    id: row.id,
    userId: row.user_id,
    profileId: row.profile_id,
    kind: row.kind,
    protocol: row.protocol,
    connectionId: row.connection_id,
    serial: row.serial,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
  };
}
