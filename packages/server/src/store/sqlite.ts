import { access, chmod, constants, link, rm, writeFile } from "node:fs/promises";
import { Kysely, type LogConfig } from "kysely";
import { newId } from "../core/id.ts";
import type { AttemptOptions } from "./attempt-queue.ts";
import type { Database } from "./database.ts";
import { migrate } from "./migrate.ts";
import type { Tables } from "./schema.ts";
import { sqliteDialect } from "./sqlite/dialect.ts";
import { faultOf } from "./sqlite/faults.ts";
import type { Store } from "./store.ts";
import { storeOver } from "./store-over.ts";

export type SqliteStoreOptions = {
  /** Absolute path; made (mode 0600) where there is none, in a directory that must exist. */
  file: string;
  /** How long another program's lock is waited for. */
  busyTimeoutMs?: number;
  attempts?: AttemptOptions;
};

/** Opens, or makes, the embedded database and brings it to this program's schema. Errors: `store-unavailable`. */
export async function openSqlite(options: SqliteStoreOptions): Promise<Store> {
  return storeOver(await openSqliteDatabase(options), options.attempts);
}

export async function openSqliteDatabase(
  options: Omit<SqliteStoreOptions, "attempts"> & { log?: LogConfig },
): Promise<Database> {
  await keepPrivate(options.file);
  const query = new Kysely<Tables>({
    dialect: sqliteDialect({
      file: options.file,
      busyTimeoutMs: options.busyTimeoutMs ?? 5_000,
      waiting: { deadlineMs: 30_000, most: 20_000 },
    }),
    ...(options.log ? { log: options.log } : {}),
  });
  try {
    await migrate(query, { name: options.file });
  } catch (error) {
    await query.destroy();
    throw error;
  }
  return {
    query,
    transaction: (work) => query.transaction().execute(work),
    close: () => query.destroy(),
  };
}

/**
 * Password digests and keys lie in it: nobody else reads it. SQLite gives its other files the same mode. The file is
 * never opened here once it may be in use: closing it would drop the locks this process holds on it (POSIX).
 */
async function keepPrivate(file: string): Promise<void> {
  const empty = `${file}.${newId()}`;
  try {
    await writeFile(empty, "", { mode: 0o600, flag: "wx" });
    try {
      await link(empty, file).catch(unlessCode("EEXIST"));
    } finally {
      await rm(empty);
    }
    await chmod(file, 0o600);
    await access(file, constants.R_OK | constants.W_OK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw faultOf(file, { code: code ?? null, message });
  }
}

function unlessCode(code: string): (error: NodeJS.ErrnoException) => void {
  return (error) => {
    if (error.code !== code) throw error;
  };
}
