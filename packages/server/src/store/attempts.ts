import type { AttemptRecord, TraceEntry } from "../core/attempt.ts";
import { type AttemptOptions, AttemptQueue, type AttemptRow } from "./attempt-queue.ts";
import type { Database } from "./database.ts";
import type { AttemptStore } from "./store.ts";

const PRUNED_AT_ONCE = 1_000;

/**
 * Attempts are the one thing written in batches: there is one for every knock at the door, and losing the last tenth
 * of a second of them in a crash loses an explanation, not a connection.
 */
export function attemptStore(
  { query }: Database,
  options: AttemptOptions = {},
): AttemptStore & { close(): Promise<void> } {
  const queue = new AttemptQueue((rows) => insert(rows), options);

  async function insert(rows: readonly AttemptRow[]): Promise<void> {
    // A batch whose outcome was not heard of is written again.
    await query
      .insertInto("attempts")
      .values([...rows])
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
  }

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
      const row =
        (await unwritten()).find((attempt) => attempt.id === id) ??
        (await query.selectFrom("attempts").select("record").where("id", "=", id).executeTakeFirst());
      return row && JSON.parse(row.record);
    },

    async list({ userId, since, limit }) {
      const waiting = (await unwritten()).filter(
        ({ user_id, at }) => (userId === undefined || user_id === userId) && (since === undefined || at >= since),
      );
      let select = query.selectFrom("attempts").selectAll().orderBy("at", "desc").orderBy("id", "desc").limit(limit);
      if (userId !== undefined) select = select.where("user_id", "=", userId);
      if (since !== undefined) select = select.where("at", ">=", since);
      const rows = new Map([...waiting, ...(await select.execute())].map((row) => [row.id, row]));
      return [...rows.values()]
        .sort(newestFirst)
        .slice(0, limit)
        .map(({ record }) => JSON.parse(record));
    },

    async refusedAfterwards(id, { code, reason, clientReason }) {
      await queue.flush();
      const row = await query.selectFrom("attempts").select("record").where("id", "=", id).executeTakeFirst();
      if (row === undefined) return false;
      const attempt: AttemptRecord = JSON.parse(row.record);
      const refused: TraceEntry = { ...nothingTold, step: "admit", outcome: "denied", detail: reason };
      const trace = [...attempt.trace, refused];
      const record = JSON.stringify({ ...attempt, outcome: "deny", code, reason, clientReason, trace });
      await query.updateTable("attempts").set({ record }).where("id", "=", id).execute();
      return true;
    },

    async endingIn(endings) {
      const waiting = (await unwritten()).filter(({ id }) => endings.some((ending) => id.endsWith(ending)));
      const rows = await query
        .selectFrom("attempts")
        .selectAll()
        // Only the index of ids is read through, not the records.
        .where("id", "in", (eb) =>
          eb
            .selectFrom("attempts")
            .select("id")
            .where((or) => or.or(endings.map((ending) => or("id", "like", `%${ending}`)))),
        )
        .execute();
      const found = new Map([...waiting, ...rows].map((row) => [row.id, row]));
      return [...found.values()].sort(newestFirst).map(({ record }) => JSON.parse(record));
    },

    /** In steps, so that nobody waits behind a year's worth. */
    async prune(before) {
      for (let pruned = 0; ; ) {
        const { numDeletedRows } = await query
          .deleteFrom("attempts")
          .where("id", "in", (eb) =>
            eb.selectFrom("attempts").select("id").where("at", "<", before).orderBy("at").limit(PRUNED_AT_ONCE),
          )
          .executeTakeFirst();
        pruned += Number(numDeletedRows);
        if (numDeletedRows < PRUNED_AT_ONCE) return pruned;
      }
    },
  };
}

const nothingTold = { durationMs: 0, printed: null, traceback: null, changes: null };

function newestFirst(a: AttemptRow, b: AttemptRow): number {
  const [older, newer] = [`${a.at} ${a.id}`, `${b.at} ${b.id}`];
  if (older === newer) return 0;
  return older < newer ? 1 : -1;
}
