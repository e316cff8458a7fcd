import { type Kysely, sql, type Transaction } from "kysely";
import { SallyportError } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import type { Database } from "./database.ts";
import { blockDisconnect, deliveryOf, failVetoes, unblockDisconnect } from "./delivery-rows.ts";
import { prepared } from "./prepared.ts";
import type { DeliveryTable, Tables } from "./schema.ts";
import type { DeliveryStore } from "./store.ts";

// Conditions of the partial indexes are written into the SQL, not bound: only then does an engine use the index.
const ready = sql<boolean>`state = 'waiting' and blocked = 0`;
const running = sql<boolean>`state = 'running'`;

export function deliveryStore({ query, transaction }: Database): Omit<DeliveryStore, "prune"> {
  return {
    tell: ({ sessionId, hook, at, leaseUntil }) =>
      transaction(async (trx) => {
        const [connection] = (await selectUnended(trx, { sessionId })).rows;
        if (connection === undefined) return undefined;
        const row = veto({ eventId: connection.connect_event_id, sessionId, hook, at, leaseUntil });
        const { numAffectedRows } = await insertUnlessTold(trx, row);
        if ((numAffectedRows ?? 0n) > 0n) return deliveryOf(row);
        throw new SallyportError("conflict", `The hook ${hook} was told of the connection ${sessionId} before.`);
      }),

    takeDue: ({ now, leaseUntil, limit, busy, room = {} }) =>
      transaction(async (trx) => {
        await failVetoes(trx, { at: now, leaseBefore: now });
        const due = await dueDeliveries(trx, { now, limit, busy, room });
        if (due.length === 0) return [];
        const taken = await trx
          .updateTable("deliveries")
          .set((eb) => ({ state: "running", lease_until: leaseUntil, attempts: eb("attempts", "+", 1) }))
          .where(
            "id",
            "in",
            due.map(({ id }) => id),
          )
          .returningAll()
          .execute();
        return taken.sort(byAge).map(deliveryOf);
      }),

    finish: (id, { at, state, durationMs, output, error }) =>
      transaction(async (trx) => {
        const over = typeof state === "string";
        const attempt = { id, durationMs: Math.round(durationMs), output, error };
        const { rows } = over
          ? await finishRunning(trx, { ...attempt, at, state })
          : await retryRunning(trx, { ...attempt, retryAt: state.retryAt });
        const [row] = rows;
        if (over && row?.event === "connect") await unblockDisconnect(trx, row);
      }),

    async nextDueAt() {
      const heads = await readyHeads(query);
      return heads.map(({ next_at }) => next_at).sort()[0];
    },

    abandonRunning: (at) =>
      transaction(async (trx) => {
        const failed = await failVetoes(trx, { at, leaseBefore: null });
        const { numUpdatedRows } = await trx
          .updateTable("deliveries")
          .set({ state: "waiting", next_at: at, lease_until: null })
          .where(running)
          .executeTakeFirst();
        return failed + Number(numUpdatedRows);
      }),

    async endUntold({ hook, sessionId, ipv4, ipv6 }) {
      const untold = (family: "ipv4" | "ipv6", address: string | null) =>
        query
          .selectFrom("deliveries")
          .select("id")
          .where(sql<boolean>`state in ('waiting', 'running') and event = 'disconnect'`)
          .where(family, "=", address)
          .where("hook", "=", hook)
          .where("session_id", "<>", sessionId);
      return (await untold("ipv4", ipv4).unionAll(untold("ipv6", ipv6)).limit(1).execute()).length > 0;
    },

    async get(id) {
      const row = await query.selectFrom("deliveries").selectAll().where("id", "=", id).executeTakeFirst();
      return row && deliveryOf(row);
    },

    async list({ sessionId, state, hook, event, limit }) {
      let select = query
        .selectFrom("deliveries")
        .selectAll()
        .orderBy("created_at", "desc")
        .orderBy("id", "desc")
        .limit(limit);
      if (sessionId !== undefined) select = select.where("session_id", "=", sessionId);
      if (hook !== undefined) select = select.where("hook", "=", hook);
      if (state !== undefined) select = select.where("state", "=", sql.lit(state));
      if (event !== undefined) select = select.where("event", "=", event);
      return (await select.execute()).map(deliveryOf);
    },

    retry: (id, at) =>
      transaction(async (trx) => {
        const row = await trx
          .updateTable("deliveries")
          .set({ state: "waiting", attempts: 0, next_at: at, finished_at: null })
          .where("id", "=", id)
          .where("state", "=", "failed")
          // The connection it could have stopped was decided without it.
          .where("veto", "=", 0)
          .returning(["session_id", "hook", "event"])
          .executeTakeFirst();
        if (row?.event === "connect") await blockDisconnect(trx, row);
        return row !== undefined;
      }),

    discard: (id, at) =>
      transaction(async (trx) => {
        const row = await trx
          .updateTable("deliveries")
          .set({ state: "discarded", finished_at: at })
          .where("id", "=", id)
          .where("state", "in", ["failed", "waiting"])
          .returning(["session_id", "hook", "event"])
          .executeTakeFirst();
        if (row?.event === "connect") await unblockDisconnect(trx, row);
        return row !== undefined;
      }),
  };
}

const selectUnended = prepared((query, { sessionId }: { sessionId: string }) =>
  query.selectFrom("connections").select("connect_event_id").where("id", "=", sessionId).where("ended_at", "is", null),
);

const insertUnlessTold = prepared((query, row: DeliveryTable) =>
  query
    .insertInto("deliveries")
    .values(row)
    .onConflict((conflict) => conflict.columns(["session_id", "hook", "event"]).doNothing()),
);

type Attempt = { id: string; durationMs: number; output: string; error: string | null };

const finishRunning = prepared((query, { at, state, ...attempt }: Attempt & { at: string; state: "done" | "failed" }) =>
  attempted(query, attempt).set({ state, finished_at: at }),
);
const retryRunning = prepared((query, { retryAt, ...attempt }: Attempt & { retryAt: string }) =>
  attempted(query, attempt).set({ state: "waiting", next_at: retryAt }),
);

function attempted(query: Kysely<Tables>, { id, durationMs, output, error }: Attempt) {
  return (
    query
      .updateTable("deliveries")
      .set({ lease_until: null, duration_ms: durationMs, output, error })
      .where("id", "=", id)
      // One that is not running any more was given up, or taken by somebody else after its lease ran out.
      .where("state", "=", "running")
      .returning(["session_id", "hook", "event"])
  );
}

type Due = { now: string; limit: number; busy: readonly string[]; room: Readonly<Record<string, number>> };

/**
 * The oldest of what is due, hook by hook, so that neither a busy hook's backlog nor the many that wait behind an
 * unfinished connect are ever read through.
 */
async function dueDeliveries(trx: Transaction<Tables>, { now, limit, busy, room }: Due): Promise<{ id: string }[]> {
  const abandoned = trx
    .selectFrom("deliveries")
    .select(["id", "hook", "next_at"])
    .where(running)
    .where("lease_until", "<=", now)
    .where("blocked", "=", 0);
  const due = await (busy.length > 0 ? abandoned.where("hook", "not in", busy) : abandoned).limit(limit).execute();
  for (const { hook, next_at } of await readyHeads(trx)) {
    if (next_at > now || busy.includes(hook)) continue;
    const rows = await trx
      .selectFrom("deliveries")
      .select(["id", "hook", "next_at"])
      .where(ready)
      .where("hook", "=", hook)
      .where("next_at", "<=", now)
      .orderBy("next_at")
      .orderBy("id")
      .limit(Math.min(limit, room[hook] ?? limit))
      .execute();
    due.push(...rows);
  }
  const left = new Map(Object.entries(room));
  const fits = ({ hook }: { hook: string }) => {
    const places = left.get(hook) ?? limit;
    left.set(hook, places - 1);
    return places > 0;
  };
  return due.sort(byAge).filter(fits).slice(0, limit);
}

/**
 * For each hook that something is ready for, when its first is due. Steps from one hook's name to the next in the
 * index: as many look-ups as there are hooks, whatever the backlog.
 */
async function readyHeads(query: Kysely<Tables>): Promise<{ hook: string; next_at: string }[]> {
  const { rows } = await sql<{ hook: string; next_at: string }>`
    with recursive hooks (hook) as (
      select min(hook) from deliveries where ${ready}
      union all
      select (select min(d.hook) from deliveries d where d.state = 'waiting' and d.blocked = 0 and d.hook > hooks.hook)
      from hooks where hooks.hook is not null
    )
    select hook, (
      select min(d.next_at) from deliveries d where d.state = 'waiting' and d.blocked = 0 and d.hook = hooks.hook
    ) as next_at
    from hooks where hook is not null
  `.execute(query);
  return rows;
}

function byAge(a: { next_at: string; id: string }, b: { next_at: string; id: string }): number {
  return compare(a.next_at, b.next_at) || compare(a.id, b.id);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function veto(given: {
  eventId: string;
  sessionId: string;
  hook: string;
  at: string;
  leaseUntil: string;
}): DeliveryTable {
  return {
    id: newId(),
    event_id: given.eventId,
    session_id: given.sessionId,
    hook: given.hook,
    event: "connect",
    veto: 1,
    state: "running",
    attempts: 1,
    next_at: given.at,
    lease_until: given.leaseUntil,
    blocked: 0,
    held_for: null,
    earlier: null,
    ipv4: null,
    ipv6: null,
    created_at: given.at,
    finished_at: null,
    duration_ms: null,
    output: null,
    error: null,
  };
}
