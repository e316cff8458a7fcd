import { sql } from "kysely";
import { freeAddresses } from "./addresses.ts";
import { clientConfigOf, clientConfigRow } from "./client-configs.ts";
import type { Database } from "./database.ts";
import type { DeviceStore } from "./store.ts";

/** How many sightings one statement writes. */
const SEEN_AT_ONCE = 250;

export function deviceStore({ query, transaction }: Database): DeviceStore {
  // Written into the SQL, not bound: only then does an engine use the index of working keys.
  const working = sql<boolean>`protocol = 'wireguard' and revoked_at is null`;

  return {
    async begin(config, presharedKey) {
      const result = await query
        .insertInto("client_configs")
        .values({ ...clientConfigRow(config), preshared_key: presharedKey })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
    },

    async issued(id, { at, expiresAt, ipv4, ipv6 }) {
      const result = await query
        .updateTable("client_configs")
        .set({ issued_at: at, expires_at: expiresAt, ipv4, ipv6 })
        .where("id", "=", id)
        .where("revoked_at", "is", null)
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    },

    drop: (id) =>
      transaction(async (trx) => {
        await freeAddresses(trx, id);
        await trx.deleteFrom("client_configs").where("id", "=", id).where("issued_at", "is", null).execute();
      }),

    async working({ profileId, userId } = {}) {
      let select = query.selectFrom("client_configs").selectAll().where(working).orderBy("created_at").orderBy("id");
      if (profileId !== undefined) select = select.where("profile_id", "=", profileId);
      if (userId !== undefined) select = select.where("user_id", "=", userId);
      return (await select.execute()).map(clientConfigOf);
    },

    async presharedKey(id) {
      const row = await query
        .selectFrom("client_configs")
        .select("preshared_key")
        .where("id", "=", id)
        .executeTakeFirst();
      return row?.preshared_key ?? null;
    },

    async presharedKeys(profileId) {
      const rows = await query
        .selectFrom("client_configs")
        .select(["id", "preshared_key"])
        .where(working)
        .where("profile_id", "=", profileId)
        .where("preshared_key", "is not", null)
        .execute();
      return new Map(rows.map((row) => [row.id, row.preshared_key ?? ""]));
    },

    async withKey(profileId, publicKey) {
      const rows = await query
        .selectFrom("client_configs")
        .selectAll()
        .where("profile_id", "=", profileId)
        .where("connection_id", "=", publicKey)
        .where("protocol", "=", "wireguard")
        .execute();
      return rows.map(clientConfigOf).sort((a, b) => (rank(a) < rank(b) ? 1 : -1));
    },

    async setAway(id, at) {
      await query.updateTable("client_configs").set({ away_at: at }).where("id", "=", id).execute();
    },

    async seen(sightings) {
      for (let start = 0; start < sightings.length; start += SEEN_AT_ONCE) {
        const rows = sightings
          .slice(start, start + SEEN_AT_ONCE)
          .map(({ profileId, publicKey, at, endpoint }) => sql`(${profileId}, ${publicKey}, ${at}, ${endpoint})`);
        await sql`
          with seen (profile_id, connection_id, at, endpoint) as (values ${sql.join(rows)})
          update client_configs
          set last_seen_at = coalesce(seen.at, client_configs.last_seen_at),
            endpoint = coalesce(seen.endpoint, client_configs.endpoint)
          from seen where client_configs.profile_id = seen.profile_id
            and client_configs.connection_id = seen.connection_id
            and client_configs.protocol = 'wireguard' and client_configs.revoked_at is null
        `.execute(query);
      }
    },

    async stillHolding(now) {
      const { rows } = await sql<{ id: string; profile_id: string }>`
        select c.id, c.profile_id from client_configs c
        where c.id in (select a.connection_id from addresses a) and c.protocol = 'wireguard'
          and (c.revoked_at is not null or c.expires_at <= ${now})
          and not exists (select 1 from connections x where x.client_config_id = c.id and x.finished = 0
            and x.client_config_id is not null)
      `.execute(query);
      return rows.map(({ id, profile_id }) => ({ id, profileId: profile_id }));
    },
  };
}

/** The working one stands before those that work no more, and the newest of these first. */
function rank(config: { revokedAt: string | null; createdAt: string; id: string }): string {
  return `${config.revokedAt === null ? 1 : 0} ${config.createdAt} ${config.id}`;
}
