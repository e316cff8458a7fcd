import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import SQLite from "better-sqlite3";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Groups } from "../../src/store/sqlite/groups.ts";
import { queriesInThread } from "../../src/store/sqlite/queries.ts";
import { openSqlite, openSqliteDatabase } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { aReservation, at } from "./suite/rows.ts";

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "thread-"));
  file = join(directory, "sallyport.db");
});

afterEach(() => rm(directory, { recursive: true }));

describe("SQLite's thread", () => {
  let store: Store;
  let threads: Worker[];
  const remember = (thread: Worker) => threads.push(thread);

  beforeEach(async () => {
    threads = [];
    process.on("worker", remember);
    store = await openSqlite({ file });
  });

  afterEach(async () => {
    process.off("worker", remember);
    await store.close();
  });

  const user = (id: string) => ({ id, passwordDigest: null, at: at(0) });

  test("does all of the waiting: the main thread goes on while the database is locked", async () => {
    const other = new SQLite(file);
    other.exec("begin immediate");
    const added = store.accounts.addUser(user("alice"));
    for (let turns = 0; turns < 50; turns++) await new Promise(setImmediate);
    other.exec("rollback");
    other.close();
    expect(await added).toBe(true);
  });

  test("does what is asked in the order of asking", async () => {
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        (i % 2 === 0 ? store.settings.get("a") : store.settings.set("a", `${i}`)).then(() => order.push(i)),
      ),
    );
    expect(order).toEqual(Array.from({ length: 60 }, (_, i) => i));
    expect(await store.settings.get("a")).toBe("59");
  });

  test("shows each what those before it wrote, though one commit makes it all durable", async () => {
    const seen = await Promise.all(
      Array.from({ length: 40 }, (_, i) => [store.settings.set("n", `${i}`), store.settings.get("n")]).flat(),
    );
    expect(seen.filter((value) => value !== undefined)).toEqual(Array.from({ length: 40 }, (_, i) => `${i}`));
  });

  test("fails one that cannot be without its neighbours", async () => {
    const { connection } = (await store.ledger.reserve(aReservation())) as { connection: { id: string } };
    const telling = { sessionId: connection.id, hook: "siem", at: at(1), leaseUntil: at(2) };
    const outcomes = await Promise.allSettled([
      store.accounts.addUser(user("before")),
      store.deliveries.tell(telling),
      store.deliveries.tell(telling),
      store.accounts.addUser(user("after")),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    // Its code comes over too.
    expect(outcomes[2]).toMatchObject({ reason: { code: "conflict" } });
    expect((await store.accounts.users()).map(({ id }) => id).sort()).toEqual(["after", "before"]);
    expect(await store.deliveries.list({ limit: 9 })).toHaveLength(1);
  });

  test("that dies fails what it had not done as an outage, and is started again", async () => {
    const adding = Array.from({ length: 200 }, (_, i) => store.accounts.addUser(user(`${i}`)));
    await adding[0];
    const outcomes = Promise.allSettled(adding);
    await threads[0]?.terminate();
    const done = (await outcomes).flatMap(({ status }, i) => (status === "fulfilled" ? [`${i}`] : []));
    for (const outcome of await outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "store-unavailable" });
    }
    const present = (await store.accounts.users()).map(({ id }) => id);
    expect(present).toEqual(expect.arrayContaining(done));
    expect(await store.accounts.addUser(user("after"))).toBe(true);
    expect(threads).toHaveLength(2);
  });

  test("ends with the store, after what was asked before", async () => {
    const other = await openSqlite({ file: join(directory, "other.db") });
    const thread = threads.at(-1);
    const ended = new Promise((resolve) => thread?.once("exit", resolve));
    const added = Array.from({ length: 200 }, (_, i) => other.accounts.addUser(user(`user ${i}`)));
    await other.close();
    await ended;
    expect(await Promise.all(added)).toEqual(added.map(() => true));
    await expect(other.accounts.users()).rejects.toMatchObject({ code: "store-unavailable" });
    const again = await openSqlite({ file: join(directory, "other.db") });
    expect(await again.accounts.users()).toHaveLength(200);
    await again.close();
  });

  test("two stores on one file never hand out one address twice", async () => {
    const second = await openSqlite({ file });
    const stores = [store, second];
    const reserved = await Promise.all(
      Array.from({ length: 120 }, (_, i) => stores[i % 2]?.ledger.reserve(aReservation())),
    );
    const addresses = reserved.map((each) => (each && "connection" in each ? each.connection.ipv4 : undefined));
    expect(new Set(addresses).size).toBe(120);
    expect(addresses).not.toContain(undefined);
    await second.close();
  });

  test("a call waits for its turn no longer than its deadline, and no more than the bound wait", async () => {
    const opening = { file, busyTimeoutMs: 4_000 };
    const { queries, close } = await queriesInThread(opening, { deadlineMs: 1_500, most: 2 });
    const other = new SQLite(file);
    other.exec("begin immediate");
    // The first has its turn at once, and waits for the lock; meanwhile the second's time goes by.
    const first = queries.accounts.addUser(user("a"));
    const second = queries.accounts.addUser(user("b"));
    const third = queries.accounts.addUser(user("c"));
    await expect(third).rejects.toThrow("2 calls wait already");
    await expect(first).rejects.toThrow("keeps the database");
    await expect(second).rejects.toMatchObject({
      code: "store-unavailable",
      message: expect.stringContaining("too slow"),
    });
    other.exec("rollback");
    other.close();
    await close();
    const after = await queriesInThread(opening, { deadlineMs: 60_000, most: 2 });
    expect(await after.queries.accounts.users()).toEqual([]);
    await after.close();
  });
});

describe("SQLite in the thread that calls it", () => {
  test("commits to the disk, and keeps references whole", async () => {
    const database = await openSqliteDatabase({ file });
    const pragma = async (name: string) =>
      Object.values(
        (await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(database.query)).rows[0] ?? {},
      );
    expect(await pragma("journal_mode")).toEqual(["wal"]);
    expect(await pragma("synchronous")).toEqual([2]);
    expect(await pragma("foreign_keys")).toEqual([1]);
    expect(await pragma("busy_timeout")).toEqual([5_000]);
    await database.close();
  });

  test("has one transaction at a time, and undoes one whose work fails", async () => {
    const database = await openSqliteDatabase({ file });
    const put = (key: string) => database.query.insertInto("settings").values({ key, value: "0" }).execute();
    const failing = database.transaction(async (trx) => {
      await trx.insertInto("settings").values({ key: "half", value: "done" }).execute();
      await new Promise(setImmediate);
      throw new Error("changed my mind");
    });
    const [, rows] = await Promise.all([
      expect(failing).rejects.toThrow("changed my mind"),
      database.query.selectFrom("settings").selectAll().execute(),
    ]);
    expect(rows).toEqual([]);
    await put("half");
    await database.close();
  });
});

describe("calls that come close together", () => {
  /** An engine that can lose everything that was not committed, as SQLite does on a full disk. */
  function anEngine() {
    const state = { durable: [] as string[], pending: [] as string[], commits: 0, failCommits: 0 };
    const engine = {
      get unsettled() {
        return state.pending.length > 0;
      },
      call: <T>(work: () => Promise<T>) => work(),
      commit() {
        const lost = state.failCommits > 0;
        if (lost) state.failCommits -= 1;
        else state.durable.push(...state.pending);
        state.pending = [];
        state.commits += 1;
        if (lost) throw new Error("no room to commit");
      },
    };
    return { engine, state };
  }

  async function drained(
    calls: string[],
    { engine, state }: ReturnType<typeof anEngine>,
  ): Promise<{ durable: string[]; answers: string[]; commits: number }> {
    const answers: string[] = [];
    const groups = new Groups<string>({
      engine,
      work: async (call) => {
        if (call === "full") {
          state.pending = [];
          throw new Error("the disk is full");
        }
        state.pending.push(call);
        return call;
      },
      done: (group) => {
        for (const { call, outcome } of group) {
          if ("result" in outcome) expect(state.durable).toContain(call);
          answers.push("error" in outcome ? `${call}: ${(outcome.error as Error).message}` : call);
        }
      },
    });
    const waiting = [...calls];
    await groups.drain(
      () => waiting.shift(),
      () => false,
    );
    return { durable: state.durable, answers, commits: state.commits };
  }

  test("share a commit, and are answered after it, in order", async () => {
    expect(await drained(["a", "b", "c"], anEngine())).toEqual({
      durable: ["a", "b", "c"],
      answers: ["a", "b", "c"],
      commits: 1,
    });
  });

  test("that one of them undid are done again, each by itself, and only that one fails", async () => {
    expect(await drained(["a", "b", "full", "c"], anEngine())).toMatchObject({
      durable: ["a", "b", "c"],
      answers: ["a", "b", "full: the disk is full", "c"],
    });
  });

  test("whose commit fails are done again, each by itself", async () => {
    const engine = anEngine();
    engine.state.failCommits = 2;
    expect(await drained(["a", "b", "c"], engine)).toMatchObject({
      durable: ["b", "c"],
      answers: ["a: no room to commit", "b", "c"],
    });
  });
});
