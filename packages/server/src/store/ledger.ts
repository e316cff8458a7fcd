import { sql, type Transaction } from "kysely";
import type { Connection } from "../core/connection.ts";
import { idTime } from "../core/id.ts";
import { writeProperties } from "./accounts.ts";
import { freeAddresses, takeAddresses } from "./addresses.ts";
import { connectionOf, rowOf } from "./connection-rows.ts";
import type { Database } from "./database.ts";
import { queueConnects, queueDisconnects } from "./delivery-rows.ts";
import { wishesOfReturn } from "./grace.ts";
import { connectionLists } from "./ledger-lists.ts";
import { pruneConnections } from "./prune.ts";
import type { ConnectionTable, Tables } from "./schema.ts";
import type { Ledger, Reservation, Reserved } from "./store.ts";

export function ledger({ query, transaction }: Database): Ledger {
  return {
    ...connectionLists(query),

    reserve: (reservation) => transaction((trx) => reserve(trx, reservation)),

    admit: (id, { at, save, observers, graceMs }) =>
      transaction(async (trx) => {
        const row = await trx
          .updateTable("connections")
          .set({ state: "admitted", admitted_at: at })
          .where("id", "=", id)
          .where("state", "=", "reserved")
          .returningAll()
          .executeTakeFirst();
        if (row === undefined) return false;
        await writeProperties(trx, { kind: "user", name: row.user_id }, save);
        await queueConnects(trx, row, { at, hooks: observers, ...(graceMs && { graceMs }) });
        return true;
      }),

    async established(id, at) {
      await query
        .updateTable("connections")
        .set({ state: "open", established_at: at })
        .where("id", "=", id)
        .where("state", "=", "admitted")
        .execute();
    },

    async rename(id, tunnelKey) {
      await query.updateTable("connections").set({ tunnel_key: tunnelKey }).where("id", "=", id).execute();
    },

    async traffic(counts) {
      const rows = counts.map(
        ({ id, bytesIn, bytesOut }) => sql`(${id}, cast(${bytesIn} as bigint), cast(${bytesOut} as bigint))`,
      );
      if (rows.length === 0) return;
      await sql`
        with counts (id, bytes_in, bytes_out) as (values ${sql.join(rows)})
        update connections set bytes_in = counts.bytes_in, bytes_out = counts.bytes_out
        from counts where connections.id = counts.id and connections.ended_at is null
      `.execute(query);
    },

    end: (id, end) =>
      transaction(async (trx) => {
        // The tunnel is gone, whoever noticed first that the connection is over.
        if (end.release) await freeAddresses(trx, id);
        const ended = await endRow(trx, id, end, end.release);
        if (ended === undefined && end.release) await finish(trx, id);
        return ended !== undefined;
      }),

    release: (id) =>
      transaction(async (trx) => {
        await freeAddresses(trx, id);
        await finish(trx, id);
      }),

    hold: (clientConfigId, wishes) =>
      transaction(async (trx) => {
        const taken = await takeAddresses(trx, { holder: clientConfigId, wishes, anew: false });
        return "refused" in taken ? { ...taken, replaced: [] } : taken;
      }),

    prune: (before) => pruneConnections({ query, transaction, close: async () => {} }, before),
  };
}

async function reserve(trx: Transaction<Tables>, reservation: Reservation): Promise<Reserved> {
  const { connection, mostConnections } = reservation;
  // An attempt that was kept waiting while its device came back by another one is over, even if that one has left again.
  const newer = await byNewerAttempt(trx, connection);
  if (newer !== undefined) return { refused: "connection-ended", heldBy: newer, replaced: [] };
  const others = await openOfDevice(trx, connection);
  const replaced = await endReplaced(trx, others, reservation);
  if (mostConnections !== null && (await openConnections(trx, connection.userId)) >= mostConnections) {
    return { refused: "too-many-connections", heldBy: null, replaced };
  }
  const wishes = await wishesOfReturn(trx, reservation);
  if ("heldBy" in wishes) return { refused: "address-in-use", heldBy: wishes.heldBy, replaced };
  const taken = await takeAddresses(trx, {
    holder: connection.clientConfigId ?? connection.id,
    wishes,
    anew: connection.clientConfigId === undefined,
  });
  if ("refused" in taken) return { ...taken, replaced };
  const reserved: Connection = { ...connection, ...taken };
  await trx.insertInto("connections").values(rowOf(reserved)).execute();
  return { connection: reserved, replaced };
}

async function openConnections(trx: Transaction<Tables>, userId: string): Promise<number> {
  const { count } = await trx
    .selectFrom("connections")
    .select((eb) => eb.fn.countAll().as("count"))
    .where("user_id", "=", userId)
    .where("ended_at", "is", null)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** What the same user and device has, or had, in this profile by an attempt that began after this one. */
async function byNewerAttempt(trx: Transaction<Tables>, by: Reservation["connection"]): Promise<string | undefined> {
  const [began, now] = [idTime(by.attemptId), new Date()];
  const since = await trx
    .selectFrom("connections")
    .select(["id", "attempt_id"])
    .where("user_id", "=", by.userId)
    .where("profile_id", "=", by.profileId)
    .where("connection_id", "=", by.connectionId)
    .where("reserved_at", ">=", began.toISOString())
    .where((eb) => eb.or([eb("ended_at", "is", null), eb("admitted_at", "is not", null)]))
    .execute();
  // One of the future is by a clock that was put back since, and may be older.
  return since.find((one) => idTime(one.attempt_id) > began && idTime(one.attempt_id) <= now)?.id;
}

/** What the same user and device has in this profile, oldest first. */
async function openOfDevice(
  trx: Transaction<Tables>,
  by: Pick<Connection, "userId" | "connectionId" | "profileId">,
): Promise<Pick<ConnectionTable, "id">[]> {
  const open = await trx
    .selectFrom("connections")
    .select(["id", "reserved_at"])
    .where("user_id", "=", by.userId)
    .where("connection_id", "=", by.connectionId)
    .where("profile_id", "=", by.profileId)
    .where("ended_at", "is", null)
    .execute();
  return open.sort((a, b) => (a.reserved_at < b.reserved_at ? -1 : 1));
}

/** Their addresses stay held: the old tunnels are still there until the driver says that they are gone. */
async function endReplaced(
  trx: Transaction<Tables>,
  older: readonly { id: string }[],
  { connection: by, subscribers, graceMs = {} }: Reservation,
): Promise<Connection[]> {
  const replaced: Connection[] = [];
  for (const { id } of older) {
    const row = await endRow(trx, id, {
      at: by.reservedAt,
      reason: "replaced",
      detail: "the same user and device connected again",
      counts: null,
      subscribers,
      graceMs,
    });
    if (row !== undefined) replaced.push(connectionOf(row));
  }
  return replaced;
}

/** Ends the row and queues who is to be told, or does nothing where it has ended. */
async function endRow(
  trx: Transaction<Tables>,
  id: string,
  end: Omit<Parameters<Ledger["end"]>[1], "release">,
  gone = false,
): Promise<ConnectionTable | undefined> {
  const row = await trx
    .updateTable("connections")
    .set((eb) => ({
      state: "ended",
      ended_at: end.at,
      end_reason: end.reason,
      end_detail: end.detail,
      ...(end.counts ? { bytes_in: end.counts.bytesIn, bytes_out: end.counts.bytesOut } : {}),
      finished: eb
        .case()
        .when(
          eb.exists(
            eb.selectFrom("addresses").select("address").whereRef("addresses.connection_id", "=", "connections.id"),
          ),
        )
        .then(eb.lit(0))
        // Its client config holds the addresses; the peer is there until somebody says that it is gone.
        .when("client_config_id", "is not", null)
        .then(eb.lit(gone ? 1 : 0))
        .else(eb.lit(1))
        .end(),
    }))
    .where("id", "=", id)
    .where("ended_at", "is", null)
    .returningAll()
    .executeTakeFirst();
  if (row !== undefined) await queueDisconnects(trx, row, end);
  return row;
}

async function finish(trx: Transaction<Tables>, id: string): Promise<void> {
  await trx
    .updateTable("connections")
    .set({ finished: 1 })
    .where("id", "=", id)
    .where("ended_at", "is not", null)
    .execute();
}
