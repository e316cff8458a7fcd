import type { AttemptRecord, TraceEntry } from "../core/attempt.ts";
import { type AttemptOptions, AttemptQueue, type AttemptRow } from "./attempt-queue.ts";
import type { Database } from "./database.ts";
import { inSteps, STEP } from "./steps.ts";
import type { AttemptStore } from "./store.ts";

/** What is asked of the database about attempts; which of them have not reached it yet is the queue's to know. */
export type AttemptRows = {
  insert(rows: readonly AttemptRow[]): Promise<void>;
  get(id: string): Promise<AttemptRow | undefined>;
  newest(filter: { userId?: string; since?: string; limit: number }): Promise<AttemptRow[]>;
  endingIn(endings: readonly string[]): Promise<AttemptRow[]>;
  refusedAfterwards: AttemptStore["refusedAfterwards"];
  /** One step, as `inSteps` takes them. */
  prune(before: string): Promise<number>;
};

export function attemptRows({ query, transaction }: Database): AttemptRows {
  return {
    // A batch whose outcome was not heard of is written again.
    async insert(rows) {
      await query
        .insertInto("attempts")
        .values([...rows])
        .onConflict((conflict) => conflict.column("id").doNothing())
        .execute();
    },

    get: (id) => query.selectFrom("attempts").selectAll().where("id", "=", id).executeTakeFirst(),

    newest({ userId, since, limit }) {
      let select = query.selectFrom("attempts").selectAll().orderBy("at", "desc").orderBy("id", "desc").limit(limit);
      if (userId !== undefined) select = select.where("user_id", "=", userId);
      if (since !== undefined) select = select.where("at", ">=", since);
      return select.execute();
    },

    endingIn: (endings) =>
      query
        .selectFrom("attempts")
        .selectAll()
        // Only the index of ids is read through, not the records.
        .where("id", "in", (eb) =>
          eb
            .selectFrom("attempts")
            .select("id")
            .where((or) => or.or(endings.map((ending) => or("id", "like", `%${ending}`)))),
        )
        .execute(),

    refusedAfterwards: (id, refusal) =>
      transaction(async (trx) => {
        const row = await trx.selectFrom("attempts").select("record").where("id", "=", id).executeTakeFirst();
        if (row === undefined) return false;
        const record = refusedRecord(row.record, refusal);
        await trx.updateTable("attempts").set({ record }).where("id", "=", id).execute();
        return true;
      }),

    async prune(before) {
      const { numDeletedRows } = await query
        .deleteFrom("attempts")
        .where("id", "in", (eb) =>
          eb.selectFrom("attempts").select("id").where("at", "<", before).orderBy("at").limit(STEP),
        )
        .executeTakeFirst();
      return Number(numDeletedRows);
    },
  };
}

/**
 * Attempts are the one thing written in batches: there is one for every knock at the door, and losing the last tenth
 * of a second of them in a crash loses an explanation, not a connection.
 */
export function attemptStore(
  database: AttemptRows,
  options: AttemptOptions = {},
): AttemptStore & { close(): Promise<void> } {
  const queue = new AttemptQueue((rows) => database.insert(rows), options);

  /** Also while the database cannot be written, what is known can be read: that is when somebody will ask. */
  async function unwritten(): Promise<AttemptRow[]> {
    await queue.flush().catch(() => undefined);
    return [...queue.waiting];
  }

  return {
    record: (attempt) => queue.add(attempt),
    flush: () => queue.flush(),
    close: () => queue.close(),

    async get(id) {
      const row = (await unwritten()).find((attempt) => attempt.id === id) ?? (await database.get(id));
      return row && JSON.parse(row.record);
    },

    async list(filter) {
      const { userId, since, limit } = filter;
      const waiting = (await unwritten()).filter(
        ({ user_id, at }) => (userId === undefined || user_id === userId) && (since === undefined || at >= since),
      );
      const rows = new Map([...waiting, ...(await database.newest(filter))].map((row) => [row.id, row]));
      return [...rows.values()]
        .sort(newestFirst)
        .slice(0, limit)
        .map(({ record }) => JSON.parse(record));
    },

    async refusedAfterwards(id, refusal) {
      if (await queue.amend(id, (record) => refusedRecord(record, refusal))) return true;
      return database.refusedAfterwards(id, refusal);
    },

    async endingIn(endings) {
      const waiting = (await unwritten()).filter(({ id }) => endings.some((ending) => id.endsWith(ending)));
      const found = new Map([...waiting, ...(await database.endingIn(endings))].map((row) => [row.id, row]));
      return [...found.values()].sort(newestFirst).map(({ record }) => JSON.parse(record));
    },

    prune: (before) => inSteps(() => database.prune(before)),
  };
}

function refusedRecord(record: string, refusal: Parameters<AttemptStore["refusedAfterwards"]>[1]): string {
  const attempt: AttemptRecord = JSON.parse(record);
  const refused: TraceEntry = { ...nothingTold, step: "admit", outcome: "denied", detail: refusal.reason };
  const { code, reason, clientReason } = refusal;
  return JSON.stringify({
    ...attempt,
    outcome: "deny",
    code,
    reason,
    clientReason,
    trace: [...attempt.trace, refused],
  });
}

const nothingTold = { durationMs: 0, printed: null, traceback: null, changes: null };

function newestFirst(a: AttemptRow, b: AttemptRow): number {
  const [older, newer] = [`${a.at} ${a.id}`, `${b.at} ${b.id}`];
  if (older === newer) return 0;
  return older < newer ? 1 : -1;
}
