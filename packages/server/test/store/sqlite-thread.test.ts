import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/store/database.ts";
import { Turns } from "../../src/store/sqlite/turns.ts";
import { openSqlite, openSqliteDatabase } from "../../src/store/sqlite.ts";
import { aReservation, at } from "./suite/rows.ts";

/** A statement that keeps SQLite busy for a good while. */
const slow = sql<{ count: number }>`
  with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000000) select count(*) as count from n
`;

describe("SQLite's thread", () => {
  let directory: string;
  let database: Database;
  let threads: Worker[];
  const remember = (thread: Worker) => threads.push(thread);

  beforeEach(async () => {
    threads = [];
    process.on("worker", remember);
    directory = await mkdtemp(join(tmpdir(), "thread-"));
    database = await openSqliteDatabase({ file: join(directory, "sallyport.db") });
  });

  afterEach(async () => {
    process.off("worker", remember);
    await database.close();
    await rm(directory, { recursive: true });
  });

  const setting = async (key: string) =>
    (await database.query.selectFrom("settings").select("value").where("key", "=", key).executeTakeFirst())?.value;
  const add = (key: string, value = "0") => database.query.insertInto("settings").values({ key, value }).execute();

  test("does all of SQLite's work: the main thread goes on while a statement runs", async () => {
    let turns = 0;
    const count = () => {
      turns += 1;
      ticking = setImmediate(count);
    };
    let ticking = setImmediate(count);
    await slow.execute(database.query);
    clearImmediate(ticking);
    // In the main thread it could not have had one turn.
    expect(turns).toBeGreaterThan(10);
  });

  test("commits to the disk, and keeps references whole", async () => {
    const pragma = async (name: string) =>
      Object.values(
        (await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(database.query)).rows[0] ?? {},
      );
    expect(await pragma("journal_mode")).toEqual(["wal"]);
    expect(await pragma("synchronous")).toEqual([2]);
    expect(await pragma("foreign_keys")).toEqual([1]);
    expect(await pragma("busy_timeout")).toEqual([5_000]);
  });

  test("has one transaction at a time, however many are asked for", async () => {
    await add("counter");
    await Promise.all(
      Array.from({ length: 40 }, () =>
        database.transaction(async (trx) => {
          const row = await trx.selectFrom("settings").select("value").where("key", "=", "counter").executeTakeFirst();
          await new Promise(setImmediate);
          await trx
            .updateTable("settings")
            .set({ value: String(Number(row?.value) + 1) })
            .execute();
        }),
      ),
    );
    expect(await setting("counter")).toBe("40");
  });

  test("undoes a transaction whose work fails, and lets nobody see any of it", async () => {
    const failing = database.transaction(async (trx) => {
      await trx.insertInto("settings").values({ key: "half", value: "done" }).execute();
      throw new Error("changed my mind");
    });
    const [, seen] = await Promise.all([expect(failing).rejects.toThrow("changed my mind"), setting("half")]);
    expect(seen).toBeUndefined();
    await add("half");
    expect(await setting("half")).toBe("0");
  });

  test("does what is asked in the order of asking", async () => {
    await add("a");
    const append = (i: number) => ({ value: sql<string>`value || ${` ${i}`}` });
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        i % 2 === 0
          ? database.query.updateTable("settings").set(append(i)).execute()
          : database.transaction((trx) => trx.updateTable("settings").set(append(i)).execute()),
      ),
    );
    expect(await setting("a")).toBe(`0 ${Array.from({ length: 20 }, (_, i) => i).join(" ")}`);
  });

  test("lets transactions that wait for each other share a commit, and undoes only the one that fails", async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, (_, i) =>
        database.transaction(async (trx) => {
          await trx
            .insertInto("settings")
            .values({ key: `shared ${i}`, value: "done" })
            .execute();
          if (i % 10 === 5) throw new Error("changed my mind");
          // A fault of the database's own: the key is there already.
          if (i % 10 === 7) await trx.insertInto("settings").values({ key: "shared 0", value: "again" }).execute();
        }),
      ),
    );
    const failed = outcomes.flatMap(({ status }, i) => (status === "rejected" ? [i] : []));
    expect(failed).toEqual([5, 7, 15, 17, 25, 27, 35, 37]);
    const kept = await database.query.selectFrom("settings").select("key").where("key", "like", "shared %").execute();
    expect(kept.map(({ key }) => Number(key.slice(7))).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 40 }, (_, i) => i).filter((i) => !failed.includes(i)),
    );
  });

  test("fails all that share a commit with a thread that dies, and has done none of it or all", async () => {
    await database.query.deleteFrom("settings").execute();
    const begun = Promise.withResolvers<void>();
    const first = database.transaction(async (trx) => {
      await trx.insertInto("settings").values({ key: "first", value: "done" }).execute();
      begun.resolve();
    });
    const second = database.transaction(async (trx) => {
      await trx.insertInto("settings").values({ key: "second", value: "done" }).execute();
      await slow.execute(trx);
    });
    const outcomes = Promise.allSettled([first, second]);
    await begun.promise;
    await threads.at(-1)?.terminate();
    expect(await outcomes).toEqual([
      { status: "rejected", reason: expect.objectContaining({ code: "store-unavailable" }) },
      { status: "rejected", reason: expect.objectContaining({ code: "store-unavailable" }) },
    ]);
    expect(await setting("first")).toBeUndefined();
    expect(await setting("second")).toBeUndefined();
  });

  test("that dies fails what it was at as an outage, undoes the transaction, and is started again", async () => {
    const halfDone = Promise.withResolvers<void>();
    const unfinished = database.transaction(async (trx) => {
      await trx.insertInto("settings").values({ key: "half", value: "done" }).execute();
      halfDone.resolve();
      await slow.execute(trx);
    });
    const outcome = unfinished.catch((error) => error);
    const waiting = setting("half");
    expect(threads).toHaveLength(1);
    await halfDone.promise;
    await threads[0]?.terminate();
    expect(await outcome).toMatchObject({ code: "store-unavailable" });
    expect(await waiting).toBeUndefined();
    await add("after");
    expect(await setting("after")).toBe("0");
    expect(threads).toHaveLength(2);
  });

  test("ends with the store, after what was asked before", async () => {
    const store = await openSqlite({ file: join(directory, "other.db") });
    const thread = threads.at(-1);
    const ended = new Promise((resolve) => thread?.once("exit", resolve));
    const added = Array.from({ length: 20 }, (_, i) =>
      store.accounts.addUser({ id: `user ${i}`, passwordDigest: null, at: at(0) }),
    );
    await store.close();
    await ended;
    expect(await Promise.all(added)).toEqual(added.map(() => true));
    const again = await openSqlite({ file: join(directory, "other.db") });
    expect(await again.accounts.users()).toHaveLength(20);
    await again.close();
  });

  test("two stores on one file never hand out one address twice", async () => {
    const file = join(directory, "shared.db");
    const stores = await Promise.all([openSqlite({ file }), openSqlite({ file })]);
    const reserved = await Promise.all(
      Array.from({ length: 120 }, (_, i) => stores[i % 2]?.ledger.reserve(aReservation())),
    );
    const addresses = reserved.map((each) => (each && "connection" in each ? each.connection.ipv4 : undefined));
    expect(new Set(addresses).size).toBe(120);
    expect(addresses).not.toContain(undefined);
    for (const store of stores) await store.close();
  });
});

describe("turns", () => {
  test("are given in the order they were asked for", async () => {
    const turns = new Turns({ deadlineMs: 10_000, most: 10 });
    const order: string[] = [];
    await turns.take();
    const waiting = ["a", "b", "c"].map((name) => turns.take().then(() => order.push(name)));
    for (const turn of waiting) {
      turns.give();
      await turn;
    }
    expect(order).toEqual(["a", "b", "c"]);
  });

  test("are waited for no longer than the deadline, and by no more than the bound", async () => {
    const turns = new Turns({ deadlineMs: 20, most: 1 });
    await turns.take();
    const late = turns.take();
    await expect(turns.take()).rejects.toMatchObject({ code: "store-unavailable" });
    await expect(late).rejects.toMatchObject({ code: "store-unavailable" });
    turns.give();
    await turns.take();
  });
});
