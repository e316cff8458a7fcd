import { type CreateTableBuilder, type Kysely, sql } from "kysely";

/** Scripts for users' machines: their versions and variables, the tickets they are fetched with, and their outcomes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await scoped(db.schema.createTable("client_scripts"))
    .addColumn("latest_version", "integer", (c) => c.notNull())
    .addColumn("live_version", "integer")
    .addPrimaryKeyConstraint("client_scripts_scope", [...scope])
    .execute();
  await scoped(db.schema.createTable("client_script_versions"))
    .addColumn("version", "integer", (c) => c.notNull())
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("text", "text", (c) => c.notNull())
    .addColumn("sha256", "text", (c) => c.notNull())
    .addColumn("bytes", "integer", (c) => c.notNull())
    .addColumn("created_at", "text", (c) => c.notNull())
    .addColumn("created_by", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("client_script_versions_number", [...scope, "version"])
    .execute();
  await scoped(db.schema.createTable("client_script_variables"))
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("value", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("client_script_variables_name", [...scope, "name"])
    .execute();
  await db.schema
    .createTable("client_script_tickets")
    .addColumn("digest", "text", (c) => c.primaryKey().notNull())
    .addColumn("connection_id", "text", (c) => c.notNull())
    .addColumn("platform", "text")
    .addColumn("created_at", "text", (c) => c.notNull())
    .addColumn("expires_at", "text", (c) => c.notNull())
    .addColumn("used_at", "text")
    .addColumn("report_digest", "text")
    .execute();
  await db.schema
    .createIndex("client_script_tickets_connection")
    .on("client_script_tickets")
    .column("connection_id")
    .execute();
  await db.schema
    .createIndex("client_script_tickets_expiry")
    .on("client_script_tickets")
    .column("expires_at")
    .execute();
  await db.schema
    .createIndex("client_script_tickets_report")
    .on("client_script_tickets")
    .column("report_digest")
    .where(sql<boolean>`report_digest is not null`)
    .execute();
  await db.schema
    .createTable("client_script_reports")
    .addColumn("id", "text", (c) => c.primaryKey().notNull())
    .addColumn("connection_id", "text", (c) => c.notNull())
    .addColumn("received_at", "text", (c) => c.notNull())
    .addColumn("result", "text", (c) => c.notNull())
    .addColumn("report", "text", (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex("client_script_reports_connection")
    .on("client_script_reports")
    .columns(["connection_id", "result"])
    .execute();
  await db.schema
    .createIndex("client_script_reports_received")
    .on("client_script_reports")
    .column("received_at")
    .execute();
  // Whose tunnel a request comes from.
  for (const column of ["ipv4", "ipv6"] as const) {
    await db.schema
      .createIndex(`connections_unfinished_${column}`)
      .on("connections")
      .column(column)
      .where(sql<boolean>`finished = 0`)
      .execute();
  }
}

const scope = ["owner_kind", "owner_name", "platform", "privilege", "event"] as const;

function scoped(table: CreateTableBuilder<string>): CreateTableBuilder<string, (typeof scope)[number]> {
  return table
    .addColumn("owner_kind", "text", (c) => c.notNull())
    .addColumn("owner_name", "text", (c) => c.notNull())
    .addColumn("platform", "text", (c) => c.notNull())
    .addColumn("privilege", "text", (c) => c.notNull())
    .addColumn("event", "text", (c) => c.notNull());
}
