import type { Kysely } from "kysely";
import { sql } from "kysely";

/** Everything the first version keeps. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await accounts(db);
  await clientConfigs(db);
  await scripts(db);
  await attempts(db);
  await connections(db);
  await addresses(db);
  await deliveries(db);
}

async function accounts(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("users")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("password_digest", "text")
    .addColumn("disabled", "integer", (c) => c.notNull())
    .addColumn("created_at", "text", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("groups")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("created_at", "text", (c) => c.notNull())
    .execute();
  // No foreign key: a directory's user has properties and no row in `users`.
  await db.schema
    .createTable("properties")
    .addColumn("owner_kind", "text", (c) => c.notNull())
    .addColumn("owner_name", "text", (c) => c.notNull())
    .addColumn("key", "text", (c) => c.notNull())
    .addColumn("value", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("properties_pk", ["owner_kind", "owner_name", "key"])
    .execute();
  await db.schema
    .createTable("settings")
    .addColumn("key", "text", (c) => c.primaryKey().notNull())
    .addColumn("value", "text", (c) => c.notNull())
    .execute();
}

async function clientConfigs(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("client_configs")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("user_id", "text")
    .addColumn("profile_id", "text", (c) => c.notNull())
    .addColumn("kind", "text", (c) => c.notNull())
    .addColumn("protocol", "text", (c) => c.notNull())
    .addColumn("connection_id", "text", (c) => c.notNull())
    .addColumn("serial", "text", (c) => c.unique())
    .addColumn("created_at", "text", (c) => c.notNull())
    .addColumn("expires_at", "text", (c) => c.notNull())
    .addColumn("revoked_at", "text")
    .execute();
  await index(db, "client_configs", "user", ["user_id", "created_at", "id"]).execute();
  await index(db, "client_configs", "profile", ["profile_id", "created_at", "id"]).execute();
  await index(db, "client_configs", "created", ["created_at", "id"]).execute();
}

async function scripts(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("scripts")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("position", "integer", (c) => c.notNull())
    .addColumn("active_version", "integer")
    .execute();
  await db.schema
    .createTable("script_numbers")
    .addColumn("script", "text", (c) => c.primaryKey().notNull())
    .addColumn("latest_version", "integer", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("script_versions")
    .addColumn("script", "text", (c) => c.notNull().references("scripts.id").onDelete("cascade"))
    .addColumn("version", "integer", (c) => c.notNull())
    .addColumn("language", "text", (c) => c.notNull())
    .addColumn("text", "text", (c) => c.notNull())
    .addColumn("sha256", "text", (c) => c.notNull())
    .addColumn("cases", "text")
    .addColumn("created_at", "text", (c) => c.notNull())
    .addColumn("created_by", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("script_versions_pk", ["script", "version"])
    .execute();
  await db.schema
    .createTable("script_activations")
    .addColumn("script", "text", (c) => c.notNull().references("scripts.id").onDelete("cascade"))
    .addColumn("number", "integer", (c) => c.notNull())
    .addColumn("version", "integer")
    .addColumn("at", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("script_activations_pk", ["script", "number"])
    .execute();
}

async function attempts(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("attempts")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("at", "text", (c) => c.notNull())
    .addColumn("user_id", "text")
    .addColumn("record", "text", (c) => c.notNull())
    .execute();
  await index(db, "attempts", "at", ["at", "id"]).execute();
  await index(db, "attempts", "user", ["user_id", "at", "id"]).execute();
}

async function connections(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("connections")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("user_id", "text", (c) => c.notNull())
    .addColumn("profile_id", "text", (c) => c.notNull())
    .addColumn("node_number", "integer", (c) => c.notNull())
    .addColumn("listener", "text", (c) => c.notNull())
    .addColumn("protocol", "text", (c) => c.notNull())
    .addColumn("connection_id", "text", (c) => c.notNull())
    .addColumn("tunnel_key", "text", (c) => c.notNull())
    .addColumn("attempt_id", "text", (c) => c.notNull())
    .addColumn("ipv4", "text")
    .addColumn("ipv6", "text")
    .addColumn("originating_ip", "text")
    .addColumn("state", "text", (c) => c.notNull())
    .addColumn("properties", "text", (c) => c.notNull())
    .addColumn("group_snapshot", "text")
    .addColumn("connect_event_id", "text", (c) => c.notNull())
    .addColumn("disconnect_event_id", "text", (c) => c.notNull())
    .addColumn("reserved_at", "text", (c) => c.notNull())
    .addColumn("admitted_at", "text")
    .addColumn("established_at", "text")
    .addColumn("expires_at", "text")
    .addColumn("ended_at", "text")
    .addColumn("end_reason", "text")
    .addColumn("end_detail", "text")
    .addColumn("bytes_in", "bigint", (c) => c.notNull())
    .addColumn("bytes_out", "bigint", (c) => c.notNull())
    .addColumn("finished", "integer", (c) => c.notNull())
    .addCheckConstraint("connections_ended", sql`(state = 'ended') = (ended_at is not null)`)
    .execute();
  await index(db, "connections", "reserved", ["reserved_at", "id"]).execute();
  await index(db, "connections", "user", ["user_id", "reserved_at", "id"]).execute();
  await index(db, "connections", "user_profile", ["user_id", "profile_id", "reserved_at", "id"]).execute();
  await index(db, "connections", "profile", ["profile_id", "reserved_at", "id"]).execute();
  // The live rows are few whatever the history: these indexes hold nothing else.
  const live = sql<boolean>`ended_at is null`;
  await index(db, "connections", "live", ["reserved_at", "id"]).where(live).execute();
  await index(db, "connections", "live_user", ["user_id", "reserved_at", "id"]).where(live).execute();
  await index(db, "connections", "live_user_profile", ["user_id", "profile_id", "reserved_at", "id"])
    .where(live)
    .execute();
  // One account on thousands of devices is no reason to read through them all for one.
  await index(db, "connections", "live_device", ["user_id", "profile_id", "connection_id"]).where(live).execute();
  await index(db, "connections", "live_profile", ["profile_id", "reserved_at", "id"]).where(live).execute();
  const unfinished = sql<boolean>`finished = 0`;
  await index(db, "connections", "unfinished", ["node_number", "profile_id", "listener"]).where(unfinished).execute();
  await index(db, "connections", "tunnel", ["tunnel_key", "listener", "profile_id"]).where(unfinished).execute();
}

async function addresses(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("addresses")
    .addColumn("address", "text", (c) => c.primaryKey().notNull())
    .addColumn("block", "text", (c) => c.notNull())
    .addColumn("place", "bigint", (c) => c.notNull())
    .addColumn("connection_id", "text", (c) => c.notNull())
    // Deferred: an address is taken before the row of the connection it is for is written.
    .addForeignKeyConstraint("addresses_connection", ["connection_id"], "connections", ["id"], (c) =>
      c.deferrable().initiallyDeferred(),
    )
    .execute();
  await index(db, "addresses", "place", ["block", "place"]).unique().execute();
  await index(db, "addresses", "connection", ["connection_id"]).execute();
  await db.schema
    .createTable("address_cursors")
    .addColumn("range", "text", (c) => c.primaryKey().notNull())
    .addColumn("address", "text", (c) => c.notNull())
    .execute();
}

async function deliveries(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("deliveries")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("event_id", "text", (c) => c.notNull())
    .addColumn("session_id", "text", (c) => c.notNull().references("connections.id").onDelete("cascade"))
    .addColumn("hook", "text", (c) => c.notNull())
    .addColumn("event", "text", (c) => c.notNull())
    .addColumn("veto", "integer", (c) => c.notNull())
    .addColumn("state", "text", (c) => c.notNull())
    .addColumn("attempts", "integer", (c) => c.notNull())
    .addColumn("next_at", "text", (c) => c.notNull())
    .addColumn("lease_until", "text")
    .addColumn("blocked", "integer", (c) => c.notNull())
    .addColumn("created_at", "text", (c) => c.notNull())
    .addColumn("finished_at", "text")
    .addColumn("duration_ms", "integer")
    .addColumn("output", "text")
    .addColumn("error", "text")
    // Whoever else notices the end: a hook is told of an event of a connection once.
    .addUniqueConstraint("deliveries_once", ["session_id", "hook", "event"])
    .execute();
  await index(db, "deliveries", "created", ["created_at", "id"]).execute();
  await index(db, "deliveries", "hook", ["hook", "created_at", "id"]).execute();
  // What is not done is little whatever the history, or somebody's business: it is found without reading the rest.
  await index(db, "deliveries", "ready", ["hook", "next_at", "id"])
    .where(sql<boolean>`state = 'waiting' and blocked = 0`)
    .execute();
  for (const state of ["waiting", "running", "failed"]) {
    const inState = sql<boolean>`state = ${sql.lit(state)}`;
    await index(db, "deliveries", state, ["created_at", "id"]).where(inState).execute();
    await index(db, "deliveries", `${state}_hook`, ["hook", "created_at", "id"]).where(inState).execute();
  }
}

function index(db: Kysely<unknown>, table: string, name: string, columns: string[]) {
  return db.schema.createIndex(`${table}_by_${name}`).on(table).columns(columns);
}
