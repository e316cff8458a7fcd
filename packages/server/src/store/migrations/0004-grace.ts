import { type Kysely, sql } from "kysely";

/** Disconnects that wait for the device to come back, and whose address a disconnect tells of. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const column of ["held_for", "earlier", "ipv4", "ipv6"])
    await db.schema.alterTable("deliveries").addColumn(column, "text").execute();
  await sql`update deliveries set
    ipv4 = (select c.ipv4 from connections c where c.id = session_id),
    ipv6 = (select c.ipv6 from connections c where c.id = session_id)
    where event = 'disconnect' and state in ('waiting', 'running')`.execute(db);
  await db.schema
    .createIndex("deliveries_by_held")
    .on("deliveries")
    .columns(["held_for", "hook"])
    .where(sql<boolean>`state = 'waiting' and held_for is not null`)
    .execute();
  for (const family of ["ipv4", "ipv6"])
    await db.schema
      .createIndex(`deliveries_by_untold_${family}`)
      .on("deliveries")
      .columns([family, "hook"])
      .where(sql<boolean>`state in ('waiting', 'running') and event = 'disconnect'`)
      .execute();
}
