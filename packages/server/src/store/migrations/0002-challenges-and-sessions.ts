import type { Kysely } from "kysely";

/** What outlives one attempt: questions waiting for their answer, and sessions that need not sign in again. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("challenges")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("user_id", "text", (c) => c.notNull())
    .addColumn("profile_id", "text")
    .addColumn("serial", "text")
    .addColumn("expires_at", "text", (c) => c.notNull())
    .addColumn("carried", "text", (c) => c.notNull())
    .execute();
  await db.schema.createIndex("challenges_expiry").on("challenges").column("expires_at").execute();
  await db.schema
    .createTable("sessions")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("user_id", "text", (c) => c.notNull())
    .addColumn("signed_in_as", "text", (c) => c.notNull())
    .addColumn("profile_id", "text", (c) => c.notNull())
    .addColumn("connection_id", "text", (c) => c.notNull())
    .addColumn("created_at", "text", (c) => c.notNull())
    .addColumn("expires_at", "text")
    .addColumn("states", "text", (c) => c.notNull())
    .execute();
  await db.schema.createIndex("sessions_user").on("sessions").column("user_id").execute();
  await db.schema.createIndex("sessions_connection").on("sessions").column("connection_id").execute();
  await db.schema.createIndex("sessions_expiry").on("sessions").column("expires_at").execute();
}
