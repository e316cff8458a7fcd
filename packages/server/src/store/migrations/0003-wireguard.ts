import type { Kysely } from "kysely";
import { sql } from "kysely";

/** Client configs that hold addresses (WireGuard's), what is known of their devices, and connections that name them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await addressesOfAnybody(db);
  await devices(db);
  await connections(db);
}

/** The same table without the foreign key: `connection_id` is a connection's id or that of a client config. */
async function addressesOfAnybody(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("addresses_new")
    .addColumn("address", "text", (c) => c.primaryKey().notNull())
    .addColumn("block", "text", (c) => c.notNull())
    .addColumn("place", "bigint", (c) => c.notNull())
    .addColumn("connection_id", "text", (c) => c.notNull())
    .execute();
  await sql`insert into addresses_new (address, block, place, connection_id)
    select address, block, place, connection_id from addresses`.execute(db);
  await db.schema.dropTable("addresses").execute();
  await db.schema.alterTable("addresses_new").renameTo("addresses").execute();
  await db.schema.createIndex("addresses_by_place").on("addresses").columns(["block", "place"]).unique().execute();
  await db.schema.createIndex("addresses_by_connection").on("addresses").columns(["connection_id"]).execute();
}

async function devices(db: Kysely<unknown>): Promise<void> {
  const columns = ["issued_at", "end_reason", "away_at", "preshared_key", "ipv4", "ipv6", "last_seen_at", "endpoint"];
  for (const column of columns) await db.schema.alterTable("client_configs").addColumn(column, "text").execute();
  // What was issued before was handed out when it was made.
  await sql`update client_configs set issued_at = created_at`.execute(db);
  await db.schema
    .createIndex("client_configs_by_live_key")
    .on("client_configs")
    .columns(["profile_id", "connection_id"])
    .unique()
    .where(sql<boolean>`protocol = 'wireguard' and revoked_at is null`)
    .execute();
  await db.schema
    .createIndex("client_configs_by_device")
    .on("client_configs")
    .columns(["profile_id", "connection_id"])
    .execute();
}

async function connections(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("connections").addColumn("client_config_id", "text").execute();
  await db.schema.alterTable("connections").addColumn("trigger", "text").execute();
  await db.schema
    .createIndex("connections_by_client_config")
    .on("connections")
    .columns(["client_config_id"])
    .where(sql<boolean>`finished = 0 and client_config_id is not null`)
    .execute();
}
