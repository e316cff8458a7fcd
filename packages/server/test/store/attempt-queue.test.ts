import { describe, expect, test } from "vitest";
import { SallyportError } from "../../src/core/errors.ts";
import { type AttemptLoss, AttemptQueue, type AttemptRow } from "../../src/store/attempt-queue.ts";
import { until } from "../waiting.ts";
import { anAttempt } from "./suite/rows.ts";

/** A database that keeps what it is given, unless it is told to fail. */
function aDatabase() {
  const written: AttemptRow[][] = [];
  const database = {
    written,
    failure: undefined as Error | undefined,
    asked: 0,
    write: async (rows: readonly AttemptRow[]) => {
      database.asked += 1;
      await new Promise(setImmediate);
      if (database.failure) throw database.failure;
      written.push([...rows]);
    },
  };
  return database;
}

const outage = () => new SallyportError("store-unavailable", "the disk is full");

describe("recorded attempts", () => {
  test("are written together after a moment, without anybody asking", async () => {
    const database = aDatabase();
    const queue = new AttemptQueue(database.write, { batchMs: 5 });
    for (let i = 0; i < 10; i++) queue.add(anAttempt());
    await until("rows to be written", () => database.written.length > 0);
    expect(database.written.map((batch) => batch.length)).toEqual([10]);
    expect(queue.waiting).toEqual([]);
    await queue.close();
  });

  test("are written at once when they are many, in batches and in order", async () => {
    const database = aDatabase();
    const queue = new AttemptQueue(database.write, { batchMs: 3_600_000 });
    const attempts = Array.from({ length: 450 }, () => anAttempt());
    for (const attempt of attempts) queue.add(attempt);
    await until("three batches to be written", () => database.written.length === 3);
    expect(database.written.flat().map(({ id }) => id)).toEqual(attempts.map(({ id }) => id));
    await queue.close();
  });

  test("are waited for by flush, by several at once and only as far as they were there", async () => {
    const database = aDatabase();
    const queue = new AttemptQueue(database.write, { batchMs: 3_600_000 });
    for (let i = 0; i < 5; i++) queue.add(anAttempt());
    await Promise.all([queue.flush(), queue.flush()]);
    expect(database.written.flat()).toHaveLength(5);
    await queue.flush();
    expect(database.asked).toBe(1);
    await queue.close();
  });

  test("wait through an outage, are tried again, and none is lost or written twice", async () => {
    const database = aDatabase();
    const losses: AttemptLoss[] = [];
    const queue = new AttemptQueue(database.write, { batchMs: 1, retryMs: 1, onLoss: (loss) => losses.push(loss) });
    database.failure = outage();
    for (let i = 0; i < 5; i++) queue.add(anAttempt());
    await expect(queue.flush()).rejects.toThrow("the disk is full");
    await until("the database to be asked again", () => database.asked > 3);
    expect(queue.waiting).toHaveLength(5);
    database.failure = undefined;
    await until("nothing to wait", () => queue.waiting.length === 0);
    expect(database.written.flat()).toHaveLength(5);
    expect(losses).toEqual([]);
    await queue.close();
  });

  test("that wait through an outage can be amended, and are written as they are then", async () => {
    const database = aDatabase();
    const queue = new AttemptQueue(database.write, { batchMs: 3_600_000 });
    const [waiting, other] = [anAttempt(), anAttempt()];
    const amended = (id: string) => queue.amend(id, (record) => record.replace(/}$/, ',"amended":true}'));
    queue.add(waiting);
    database.failure = outage();
    expect(await amended(waiting.id)).toBe(true);
    database.failure = undefined;
    queue.add(other);
    expect(await amended(other.id)).toBe(false);
    const records = database.written.flat().map(({ record }) => JSON.parse(record));
    expect(records).toEqual([{ ...waiting, amended: true }, other]);
    await queue.close();
  });

  test("beyond what may wait are lost, and that is reported", async () => {
    const database = aDatabase();
    const losses: AttemptLoss[] = [];
    database.failure = outage();
    const queue = new AttemptQueue(database.write, {
      batchMs: 1,
      retryMs: 1,
      mostWaiting: { records: 3, characters: 1_000_000 },
      onLoss: (loss) => losses.push(loss),
    });
    for (let i = 0; i < 10; i++) queue.add(anAttempt());
    await until("a loss to be reported", () => losses.length > 0);
    expect(losses).toEqual([{ attempts: 7, reason: "too many wait to be written" }]);
    database.failure = undefined;
    await queue.close();
    expect(database.written.flat()).toHaveLength(3);
  });

  test("are bounded by their size as well", async () => {
    const database = aDatabase();
    const losses: AttemptLoss[] = [];
    const queue = new AttemptQueue(database.write, {
      mostWaiting: { records: 100, characters: 5_000 },
      onLoss: (loss) => losses.push(loss),
    });
    for (let i = 0; i < 3; i++) queue.add(anAttempt({ reason: "x".repeat(3_000) }));
    await queue.close();
    expect(database.written.flat()).toHaveLength(1);
    expect(losses).toEqual([{ attempts: 2, reason: "too many wait to be written" }]);
  });

  test("that cannot be written when the store closes are reported", async () => {
    const database = aDatabase();
    const losses: AttemptLoss[] = [];
    database.failure = outage();
    const queue = new AttemptQueue(database.write, { onLoss: (loss) => losses.push(loss) });
    queue.add(anAttempt());
    queue.add(anAttempt());
    await queue.close();
    queue.add(anAttempt());
    expect(losses).toEqual([
      { attempts: 2, reason: "the disk is full" },
      { attempts: 1, reason: "the store was closed" },
    ]);
  });

  test("that the database will never take do not hold up the others", async () => {
    const database = aDatabase();
    const losses: AttemptLoss[] = [];
    const queue = new AttemptQueue(database.write, { batchMs: 3_600_000, onLoss: (loss) => losses.push(loss) });
    database.failure = new Error("value too long");
    queue.add(anAttempt());
    await queue.flush();
    database.failure = undefined;
    queue.add(anAttempt());
    await queue.close();
    expect(database.written.flat()).toHaveLength(1);
    expect(losses).toEqual([{ attempts: 1, reason: "value too long" }]);
  });

  test("of no form that can be written are lost, and recording them throws nothing", async () => {
    const losses: AttemptLoss[] = [];
    const queue = new AttemptQueue(aDatabase().write, { onLoss: (loss) => losses.push(loss) });
    const scriptInput: Record<string, unknown> = {};
    scriptInput.self = scriptInput;
    queue.add(anAttempt({ scriptInput }));
    await queue.close();
    expect(losses).toMatchObject([{ attempts: 1 }]);
  });
});
