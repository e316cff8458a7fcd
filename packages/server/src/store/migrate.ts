import type { Kysely } from "kysely";
import { DEFAULT_MIGRATION_TABLE, type Migration, Migrator } from "kysely/migration";
import { SallyportError } from "../core/errors.ts";
import { migrations } from "./migrations/index.ts";

/**
 * Brings a database to this program's schema, in one transaction: two processes that start together take turns, and
 * one that dies leaves the old schema. A database that a newer program has changed is refused and left as it is.
 */
export async function migrate(
  // Migrations know the tables of their time, not today's.
  // biome-ignore lint/suspicious/noExplicitAny: Migrator takes a database of any schema
  query: Kysely<any>,
  options: { name: string; known?: Readonly<Record<string, Migration>> },
): Promise<void> {
  const known = options.known ?? migrations;
  const migrator = new Migrator({ db: query, provider: { getMigrations: async () => ({ ...known }) } });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  // Migrator refuses to touch a database that has more than it knows; in better words:
  await refuseNewer(query, options.name, known);
  throw error;
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function refuseNewer(query: Kysely<any>, name: string, known: object): Promise<void> {
  const tables = await query.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some((table) => table.name === DEFAULT_MIGRATION_TABLE)) return;
  const applied = await query.selectFrom(DEFAULT_MIGRATION_TABLE).select("name").orderBy("name").execute();
  const unknown = applied.map((row) => String(row.name)).filter((applied) => !Object.hasOwn(known, applied));
  if (unknown.length === 0) return;
  throw new SallyportError(
    "store-unavailable",
    `The database ${name} was changed by a newer Sallyport (${unknown.join(", ")}). ` +
      "Start that version or a later one, or restore the backup made before the upgrade.",
  );
}
