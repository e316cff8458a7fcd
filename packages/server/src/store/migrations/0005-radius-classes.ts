import type { Kysely } from "kysely";

/** What the RADIUS server that let somebody in wants to hear again with the accounting: a JSON list of texts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable("connections").addColumn("radius_classes", "text").execute();
}
