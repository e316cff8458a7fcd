import { SallyportError } from "../core/errors.ts";
import type { Database } from "./database.ts";
import type { ClientConfigTable } from "./schema.ts";
import type { ClientConfig, ClientConfigStore, DeviceFacts } from "./store.ts";

export function clientConfigStore({ query }: Database): ClientConfigStore {
  return {
    async add(config) {
      const result = await query
        .insertInto("client_configs")
        .values(clientConfigRow(config))
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
      return row && clientConfigOf(row);
    },

    async bySerial(serial) {
      const row = await query.selectFrom("client_configs").selectAll().where("serial", "=", serial).executeTakeFirst();
      return row && clientConfigOf(row);
    },

    async list(filter = {}) {
      let select = query.selectFrom("client_configs").selectAll().orderBy("created_at").orderBy("id");
      if (filter.userId !== undefined) select = select.where("user_id", "=", filter.userId);
      if (filter.profileId !== undefined) select = select.where("profile_id", "=", filter.profileId);
      return (await select.execute()).map(clientConfigOf);
    },

    async revoke(id, at, reason = "revoked") {
      const result = await query
        .updateTable("client_configs")
        .set({ revoked_at: at, end_reason: reason })
        .where("id", "=", id)
        .where("revoked_at", "is", null)
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    },
  };
}

export function clientConfigRow(config: ClientConfig): ClientConfigTable {
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
    issued_at: config.issuedAt ?? null,
    end_reason: config.endReason ?? null,
    away_at: config.awayAt ?? null,
    preshared_key: null,
    ipv4: config.ipv4 ?? null,
    ipv6: config.ipv6 ?? null,
    last_seen_at: config.lastSeenAt ?? null,
    endpoint: config.endpoint ?? null,
  };
}

export function clientConfigOf(row: ClientConfigTable): ClientConfig {
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
    ...(row.end_reason !== null && { endReason: row.end_reason }),
    ...(row.protocol === "wireguard" && deviceFacts(row)),
  };
}

function deviceFacts(row: ClientConfigTable): Partial<DeviceFacts> {
  const { issued_at, away_at, ipv4, ipv6, last_seen_at, endpoint } = row;
  return {
    ...(issued_at !== null && { issuedAt: issued_at }),
    ...(away_at !== null && { awayAt: away_at }),
    ...(ipv4 !== null && { ipv4 }),
    ...(ipv6 !== null && { ipv6 }),
    ...(last_seen_at !== null && { lastSeenAt: last_seen_at }),
    ...(endpoint !== null && { endpoint }),
  };
}
