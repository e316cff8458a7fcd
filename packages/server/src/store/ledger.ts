import { type Kysely, sql, type Transaction } from "kysely";
import type { Connection, EndReason } from "../core/connection.ts";
import { idTime } from "../core/id.ts";
import { writeProperties } from "./accounts.ts";
import { freeAddresses, takeAddresses } from "./addresses.ts";
import { connectionOf, rowOf } from "./connection-rows.ts";
import type { Database } from "./database.ts";
import { queueConnects, queueDisconnects } from "./delivery-rows.ts";
import { wishesOfReturn } from "./grace.ts";
import { connectionLists } from "./ledger-lists.ts";
import { prepared } from "./prepared.ts";
import { pruneConnections } from "./prune.ts";
import type { ConnectionTable, Tables } from "./schema.ts";
import type { Ledger, Reservation, Reserved } from "./store.ts";

export function ledger({ query, transaction }: Database): Ledger {
  return {
    ...connectionLists(query),

    reserve: (reservation) => transaction((trx) => reserve(trx, reservation)),

    admit: (id, { at, save, observers, graceMs }) =>
      transaction(async (trx) => {
        const [row] = (await admitReserved(trx, { id, at })).rows;
        if (row === undefined) return false;
        await writeProperties(trx, { kind: "user", name: row.user_id }, save);
        await queueConnects(trx, row, { at, hooks: observers, ...(graceMs && { graceMs }) });
        return true;
      }),

    async established(id, at) {
      await openAdmitted(query, { id, at });
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
  await insertConnection(trx, rowOf(reserved));
  return { connection: reserved, replaced };
}

const insertConnection = prepared((query, row: ConnectionTable) => query.insertInto("connections").values(row));

const admitReserved = prepared((query, { id, at }: { id: string; at: string }) =>
  query
    .updateTable("connections")
    .set({ state: "admitted", admitted_at: at })
    .where("id", "=", id)
    .where("state", "=", "reserved")
    .returningAll(),
);

const openAdmitted = prepared((query, { id, at }: { id: string; at: string }) =>
  query
    .updateTable("connections")
    .set({ state: "open", established_at: at })
    .where("id", "=", id)
    .where("state", "=", "admitted"),
);

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
  const { userId, profileId, connectionId } = by;
  const { rows } = await selectOfDeviceSince(trx, { userId, profileId, connectionId, since: began.toISOString() });
  // One of the future is by a clock that was put back since, and may be older.
  return rows.find((one) => idTime(one.attempt_id) > began && idTime(one.attempt_id) <= now)?.id;
}

type Device = { userId: string; profileId: string; connectionId: string };

const selectOfDeviceSince = prepared((query, by: Device & { since: string }) =>
  query
    .selectFrom("connections")
    .select(["id", "attempt_id"])
    .where("user_id", "=", by.userId)
    .where("profile_id", "=", by.profileId)
    .where("connection_id", "=", by.connectionId)
    .where("reserved_at", ">=", by.since)
    .where((eb) => eb.or([eb("ended_at", "is", null), eb("admitted_at", "is not", null)])),
);

/** What the same user and device has in this profile, oldest first. */
async function openOfDevice(
  trx: Transaction<Tables>,
  by: Pick<Connection, "userId" | "connectionId" | "profileId">,
): Promise<Pick<ConnectionTable, "id">[]> {
  const { userId, connectionId, profileId } = by;
  const { rows } = await selectOpenOfDevice(trx, { userId, connectionId, profileId });
  return rows.sort((a, b) => (a.reserved_at < b.reserved_at ? -1 : 1));
}

const selectOpenOfDevice = prepared((query, by: Device) =>
  query
    .selectFrom("connections")
    .select(["id", "reserved_at"])
    .where("user_id", "=", by.userId)
    .where("connection_id", "=", by.connectionId)
    .where("profile_id", "=", by.profileId)
    .where("ended_at", "is", null),
);

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
  const { at, reason, detail, counts } = end;
  const ending = { id, at, reason, detail, gone: gone ? 1 : 0 };
  const { rows } = counts === null ? await endOpen(trx, ending) : await endOpenCounted(trx, { ...ending, ...counts });
  const [row] = rows;
  if (row !== undefined) await queueDisconnects(trx, row, end);
  return row;
}

type Ending = { id: string; at: string; reason: EndReason; detail: string | null; gone: number };

const endOpen = prepared((query, end: Ending) => endingOf(query, end).returningAll());
const endOpenCounted = prepared((query, end: Ending & { bytesIn: number; bytesOut: number }) =>
  endingOf(query, end).set({ bytes_in: end.bytesIn, bytes_out: end.bytesOut }).returningAll(),
);

function endingOf(query: Kysely<Tables>, end: Ending) {
  return query
    .updateTable("connections")
    .set((eb) => ({
      state: "ended",
      ended_at: end.at,
      end_reason: end.reason,
      end_detail: end.detail,
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
        .then(eb.val(end.gone))
        .else(eb.lit(1))
        .end(),
    }))
    .where("id", "=", end.id)
    .where("ended_at", "is", null);
}

async function finish(trx: Transaction<Tables>, id: string): Promise<void> {
  await trx
    .updateTable("connections")
    .set({ finished: 1 })
    .where("id", "=", id)
    .where("ended_at", "is not", null)
    .execute();
}
