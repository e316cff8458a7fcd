import { access, chmod, constants, link, rm, writeFile } from "node:fs/promises";
import type { LogConfig } from "kysely";
import { newId } from "../core/id.ts";
import type { AttemptOptions } from "./attempt-queue.ts";
import type { Database } from "./database.ts";
import { faultOf } from "./sqlite/faults.ts";
import { openEngine } from "./sqlite/open-engine.ts";
import { queriesInThread } from "./sqlite/queries.ts";
import type { Store } from "./store.ts";
import { storeOf } from "./store-over.ts";

export type SqliteStoreOptions = {
  /** Absolute path; made (mode 0600) where there is none, in a directory that must exist. */
  file: string;
  /** How long another program's lock is waited for. */
  busyTimeoutMs?: number;
  attempts?: AttemptOptions;
};

/** Opens, or makes, the embedded database and brings it to this program's schema. Errors: `store-unavailable`. */
export async function openSqlite(options: SqliteStoreOptions): Promise<Store> {
  const { file, busyTimeoutMs = usualBusyTimeoutMs, attempts } = options;
  await keepPrivate(file);
  const { queries, close } = await queriesInThread({ file, busyTimeoutMs }, { deadlineMs: 30_000, most: 20_000 });
  return storeOf(queries, { attempts, close });
}

/** The same in the thread that calls it, which then waits for the disk itself: for tests and tools. */
export async function openSqliteDatabase(options: { file: string; log?: LogConfig }): Promise<Database> {
  await keepPrivate(options.file);
  return await openEngine({ ...options, busyTimeoutMs: usualBusyTimeoutMs });
}

const usualBusyTimeoutMs = 5_000;

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
