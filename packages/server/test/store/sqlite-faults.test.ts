import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SallyportError } from "../../src/core/errors.ts";
import { migrate } from "../../src/store/migrate.ts";
import { migrations } from "../../src/store/migrations/index.ts";
import { openSqlite, openSqliteDatabase } from "../../src/store/sqlite.ts";
import { at } from "./suite/rows.ts";

const execute = promisify(execFile);
const user = { id: "alice", passwordDigest: null, at: at(0) };

describe("a SQLite store tells the administrator what to do when", () => {
  let directory: string;
  let file: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "faults-"));
    file = join(directory, "sallyport.db");
  });

  afterEach(() => rm(directory, { recursive: true }));

  async function expectUnavailable(attempt: Promise<unknown>, ...words: string[]): Promise<void> {
    const error = await attempt.then(
      () => undefined,
      (error) => error,
    );
    expect(error).toBeInstanceOf(SallyportError);
    expect(error.code).toBe("store-unavailable");
    for (const word of words) expect(error.message).toContain(word);
  }

  async function makeDatabase(): Promise<void> {
    const store = await openSqlite({ file });
    for (let i = 0; i < 300; i++) await store.accounts.addUser({ ...user, id: `user ${i}` });
    await store.close();
  }

  test("the directory is missing", async () => {
    await expectUnavailable(openSqlite({ file: join(directory, "none", "sallyport.db") }), "does not exist", "none");
  });

  test("a directory stands in its place", async () => {
    await mkdir(file);
    await expectUnavailable(openSqlite({ file }), file);
  });

  test("the file is something else", async () => {
    await writeFile(file, "this is no database, whatever its name says. ".repeat(200));
    await expectUnavailable(openSqlite({ file }), "damaged", "restore a backup");
    expect(await readFile(file, "utf8")).toContain("this is no database");
  });

  test("pages of the file are damaged", async () => {
    await makeDatabase();
    const handle = await open(file, "r+");
    const { size } = await handle.stat();
    await handle.write(Buffer.alloc(size - 4_096, 0xa5), 0, size - 4_096, 4_096);
    await handle.close();
    const use = async () => {
      const store = await openSqlite({ file });
      await store.accounts.users().finally(() => store.close());
    };
    await expectUnavailable(use(), "damaged", "restore a backup");
  });

  test("another program keeps it locked, and goes on when that one has done", async () => {
    const store = await openSqlite({ file, busyTimeoutMs: 50 });
    const other = new Database(file);
    other.exec("begin immediate");
    await expectUnavailable(store.accounts.addUser(user), "locked", "fuser");
    expect(await store.accounts.users()).toEqual([]);
    other.exec("rollback");
    other.close();
    expect(await store.accounts.addUser(user)).toBe(true);
    await store.close();
  });

  test("it was changed by a newer version, and leaves it as it is", async () => {
    await makeDatabase();
    const newer = { ...migrations, "9999-from-the-future": { up: async () => {} } };
    const database = await openSqliteDatabase({ file });
    await migrate(database.query, { name: file, known: newer });
    await database.close();
    const before = await readFile(file);
    await expectUnavailable(openSqlite({ file }), "newer Sallyport", "9999-from-the-future", "backup");
    expect((await readFile(file)).equals(before)).toBe(true);
  });

  test("a migration fails: the database stays as it was before all of them", async () => {
    await makeDatabase();
    const broken = {
      ...migrations,
      "9998-good": {
        up: (db: typeof database.query) => db.schema.createTable("extra").addColumn("a", "text").execute(),
      },
      "9999-bad": { up: () => Promise.reject(new Error("out of luck")) },
    };
    const database = await openSqliteDatabase({ file });
    await expect(migrate(database.query, { name: file, known: broken })).rejects.toThrow("out of luck");
    const tables = await database.query.introspection.getTables();
    expect(tables.map(({ name }) => name)).not.toContain("extra");
    await database.close();
    const store = await openSqlite({ file });
    expect(await store.accounts.users()).toHaveLength(300);
    await store.close();
  });

  const program = join(import.meta.dirname, "programs", "full-disk.ts");

  test("the disk is full: what was there can be read, attempts wait, and all goes on when there is room", async (context) => {
    // The file system is the child's own: it is gone with it, however that ends.
    const script = 'mount -t tmpfs -o size=2m tmpfs "$1" || exit 77; shift; exec "$@"';
    const command = [process.execPath, program, directory, "600000"];
    const run = await execute("unshare", ["--mount", "sh", "-c", script, "sh", directory, ...command]).catch(
      (error) => {
        if (error.code === 77 || error.code === 1) return undefined;
        throw error;
      },
    );
    if (run === undefined) return context.skip("this machine does not let the tests mount anything");
    const said = JSON.parse(run.stdout);
    expect(said.full.code).toBe("store-unavailable");
    expect(said.full.message).toContain("is full. Free some space");
    expect(said.flushed.code).toBe("store-unavailable");
    expect(said).toMatchObject({ readable: said.users, explained: true, listed: 1 });
    expect(said).toMatchObject({ after: true, flushedAfter: "written", lost: [] });
  });

  test("a limit on file sizes is reached: the attempts that could not be written are reported as lost", async () => {
    const script = 'ulimit -f 1000; exec "$@"';
    const { stdout } = await execute("sh", ["-c", script, "sh", process.execPath, program, directory]);
    const said = JSON.parse(stdout);
    expect(said.full.code).toBe("store-unavailable");
    expect(said.full.message).toContain("Check free space (`df`), limits");
    expect(said).toMatchObject({ readable: said.users, explained: true });
    expect(said.lost).toMatchObject([{ attempts: 1 }]);
  });

  test("a query is at fault, which is no outage of the database", async () => {
    const database = await openSqliteDatabase({ file });
    const error = await sql`insert into missing values (1)`.execute(database.query).catch((error) => error);
    expect(error).not.toBeInstanceOf(SallyportError);
    expect(error).toMatchObject({ code: "SQLITE_ERROR", message: "no such table: missing" });
    await database.close();
  });

  test("its files are nobody else's to read, also where they were before", async () => {
    await writeFile(file, "");
    await chmod(file, 0o644);
    const store = await openSqlite({ file });
    await store.accounts.addUser(user);
    for (const suffix of ["", "-wal", "-shm"]) expect((await stat(file + suffix)).mode & 0o777).toBe(0o600);
    await store.close();
  });
});
