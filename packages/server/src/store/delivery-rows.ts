import { sql, type Transaction } from "kysely";
import type { Delivery } from "../core/hook.ts";
import { newId } from "../core/id.ts";
import { held, returnQuietly } from "./grace.ts";
import { prepared } from "./prepared.ts";
import type { ConnectionTable, DeliveryTable, Tables } from "./schema.ts";
import type { GraceMs } from "./store.ts";

/** One waiting connect delivery for each observer; one that was asked as a veto has been told already. */
export async function queueConnects(
  trx: Transaction<Tables>,
  connection: ConnectionTable,
  { at, hooks, graceMs = {} }: { at: string; hooks: readonly string[]; graceMs?: GraceMs },
): Promise<void> {
  const quiet = await returnQuietly(trx, connection, { at, hooks: hooks.filter((hook) => hook in graceMs) });
  const rows = [...new Set(hooks)].map((hook) => ({
    ...waiting({
      eventId: connection.connect_event_id,
      sessionId: connection.id,
      hook,
      event: "connect",
      at,
      blocked: 0,
    }),
    ...quiet.get(hook),
  }));
  if (rows.length === 0) return;
  await trx
    .insertInto("deliveries")
    .values(rows)
    .onConflict((conflict) => conflict.columns(["session_id", "hook", "event"]).doNothing())
    .execute();
}

/**
 * One waiting disconnect delivery for each hook that was told of the connect, or will be, and wants to know: one that
 * has yet to be told of the connect is told of it first.
 */
export async function queueDisconnects(
  trx: Transaction<Tables>,
  connection: ConnectionTable,
  { at, subscribers, graceMs = {} }: { at: string; subscribers: readonly string[]; graceMs?: GraceMs },
): Promise<void> {
  if (subscribers.length === 0) return;
  const { rows: told } = await selectTold(trx, { sessionId: connection.id });
  const rows = told
    .filter(({ hook }) => subscribers.includes(hook))
    .map(({ hook, state, veto, earlier }) => ({
      ...waiting({
        eventId: connection.disconnect_event_id,
        sessionId: connection.id,
        hook,
        event: "disconnect",
        at,
        blocked: state === "waiting" || state === "running" ? 1 : 0,
      }),
      ...(veto === 0 && held(connection, at, graceMs[hook] ?? 0)),
      earlier,
      ipv4: connection.ipv4,
      ipv6: connection.ipv6,
    }));
  if (rows.length > 0) await trx.insertInto("deliveries").values(rows).execute();
}

const selectTold = prepared((query, { sessionId }: { sessionId: string }) =>
  query
    .selectFrom("deliveries")
    .select(["hook", "state", "veto", "earlier"])
    .where("session_id", "=", sessionId)
    .where("event", "=", "connect"),
);

/** The hook's connect is settled one way or the other: its disconnect, where there is one, may go. */
export async function unblockDisconnect(
  trx: Transaction<Tables>,
  connect: { session_id: string; hook: string },
): Promise<void> {
  await setBlocked(trx, connect, 0);
}

/** The hook is to be told of the connect again: a disconnect that was not delivered yet waits for it. */
export async function blockDisconnect(
  trx: Transaction<Tables>,
  connect: { session_id: string; hook: string },
): Promise<void> {
  await setBlocked(trx, connect, 1);
}

async function setBlocked(
  trx: Transaction<Tables>,
  { session_id, hook }: { session_id: string; hook: string },
  blocked: 0 | 1,
): Promise<void> {
  await updateBlocked(trx, { session_id, hook, blocked });
}

const updateBlocked = prepared((query, of: { session_id: string; hook: string; blocked: number }) =>
  query
    .updateTable("deliveries")
    .set({ blocked: of.blocked })
    .where("session_id", "=", of.session_id)
    .where("hook", "=", of.hook)
    .where("event", "=", "disconnect"),
);

/** A veto that nobody answers for any more has failed; it is never asked twice. */
export async function failVetoes(
  trx: Transaction<Tables>,
  { at, leaseBefore }: { at: string; leaseBefore: string | null },
): Promise<number> {
  let update = trx
    .updateTable("deliveries")
    .set({ state: "failed", finished_at: at, lease_until: null, error: "no answer was recorded in time" })
    .where(sql<boolean>`state = 'running'`)
    .where("event", "=", "connect")
    .where("veto", "=", 1)
    .returning(["session_id", "hook"]);
  if (leaseBefore !== null) update = update.where("lease_until", "<=", leaseBefore);
  const failed = await update.execute();
  for (const connect of failed) await unblockDisconnect(trx, connect);
  return failed.length;
}

function waiting(given: {
  eventId: string;
  sessionId: string;
  hook: string;
  event: DeliveryTable["event"];
  at: string;
  blocked: 0 | 1;
}): DeliveryTable {
  return {
    id: newId(),
    event_id: given.eventId,
    session_id: given.sessionId,
    hook: given.hook,
    event: given.event,
    veto: 0,
    state: "waiting",
    attempts: 0,
    next_at: given.at,
    lease_until: null,
    blocked: given.blocked,
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

export function deliveryOf(row: DeliveryTable): Delivery {
  return {
    id: row.id,
    eventId: row.event_id,
    sessionId: row.session_id,
    hook: row.hook,
    event: row.event,
    veto: row.veto !== 0,
    state: row.state,
    attempts: row.attempts,
    nextAt: row.next_at,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    durationMs: row.duration_ms,
    output: row.output,
    error: row.error,
    ...(row.earlier !== null && { earlier: JSON.parse(row.earlier) }),
  };
}
