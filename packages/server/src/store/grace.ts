import { sql, type Transaction } from "kysely";
import { type AddressRange, addressNumber, clientSpans } from "../core/address-range.ts";
import type { EarlierPart } from "../core/hook.ts";
import type { ConnectionTable, DeliveryTable, Tables } from "./schema.ts";
import type { AddressWish, Reservation } from "./store.ts";

/*
 * Grace periods: for a hook that has one, a device that is back soon was never gone. The disconnect waits; when the device
 * is admitted again with the same addresses, it is done without being told, and so is the new connection's connect, which
 * remembers what came before it.
 */

type Device = Pick<ConnectionTable, "user_id" | "profile_id" | "connection_id">;

const heldNow = sql<boolean>`state = 'waiting' and held_for is not null`;

const keyOf = ({ user_id, profile_id, connection_id }: Device) => JSON.stringify([user_id, profile_id, connection_id]);

/** What makes a disconnect wait for its device. */
export function held(connection: Device, at: string, graceMs: number): Partial<DeliveryTable> {
  if (graceMs <= 0) return {};
  return { held_for: keyOf(connection), next_at: new Date(Date.parse(at) + graceMs).toISOString() };
}

function stillHeld(trx: Transaction<Tables>, device: Device, at: string) {
  return trx
    .selectFrom("deliveries")
    .where(heldNow)
    .where("held_for", "=", keyOf(device))
    .where("attempts", "=", 0)
    .where("next_at", ">", at);
}

/**
 * Settles what was held back for the device that is admitted now. The result is, for each hook that is to notice
 * nothing, what becomes of its connect. A hook that would notice (other addresses, or it has yet to hear of the earlier
 * connect) is told of the end at once.
 */
export async function returnQuietly(
  trx: Transaction<Tables>,
  connection: ConnectionTable,
  { at, hooks }: { at: string; hooks: readonly string[] },
): Promise<Map<string, Partial<DeliveryTable>>> {
  const quiet = new Map<string, Partial<DeliveryTable>>();
  if (hooks.length === 0) return quiet;
  const waiting = await stillHeld(trx, connection, at)
    .select(["id", "session_id", "hook", "earlier", "blocked"])
    .execute();
  for (const one of waiting.filter(({ hook }) => hooks.includes(hook))) {
    const before = await trx
      .selectFrom("connections")
      .selectAll()
      .where("id", "=", one.session_id)
      .executeTakeFirstOrThrow();
    const same = before.ipv4 === connection.ipv4 && before.ipv6 === connection.ipv6;
    const unnoticed = same && one.blocked === 0;
    await trx
      .updateTable("deliveries")
      .set(unnoticed ? untold(at, `back in time as ${connection.id}`) : { next_at: at, held_for: null })
      .where("id", "=", one.id)
      .execute();
    if (unnoticed) {
      const earlier = JSON.stringify(addUp(before, one.earlier));
      quiet.set(one.hook, { ...untold(at, `goes on from ${before.id}`), earlier });
    }
  }
  return quiet;
}

function untold(at: string, why: string): Partial<DeliveryTable> {
  return { state: "done", finished_at: at, output: `not told, within the grace period: ${why}` };
}

function addUp(row: ConnectionTable, earlierText: string | null): EarlierPart {
  const earlier: EarlierPart | null = earlierText === null ? null : JSON.parse(earlierText);
  return {
    sessionId: earlier?.sessionId ?? row.id,
    since: earlier?.since ?? row.established_at ?? row.admitted_at ?? row.reserved_at,
    bytesIn: (earlier?.bytesIn ?? 0) + Number(row.bytes_in),
    bytesOut: (earlier?.bytesOut ?? 0) + Number(row.bytes_out),
  };
}

/**
 * The wishes of a device within a grace period: for the addresses it had. `heldBy`: its old tunnel still has one, and it
 * is worth waiting for that to end.
 */
export async function wishesOfReturn(
  trx: Transaction<Tables>,
  reservation: Reservation,
): Promise<Pick<Reservation, "ipv4" | "ipv6"> | { heldBy: string }> {
  const { connection, ipv4, ipv6, graceMs = {}, awaitAddress = false } = reservation;
  const wishes = { ipv4, ipv6 };
  if (Object.keys(graceMs).length === 0 || connection.clientConfigId !== undefined) return wishes;
  const device = {
    user_id: connection.userId,
    profile_id: connection.profileId,
    connection_id: connection.connectionId,
  };
  const waiting = await stillHeld(trx, device, connection.reservedAt)
    .select(["session_id", "created_at", "ipv4", "ipv6"])
    .execute();
  const last = waiting.toSorted((a, b) => (a.created_at < b.created_at ? 1 : -1))[0];
  if (last === undefined) return wishes;
  for (const family of ["ipv4", "ipv6"] as const) {
    const address = last[family];
    if (address === null || !mayHave(wishes[family], address)) continue;
    const holder = await trx
      .selectFrom("addresses")
      .select("connection_id")
      .where("address", "=", address)
      .executeTakeFirst();
    if (holder === undefined) wishes[family] = { fixed: address };
    else if (awaitAddress && holder.connection_id === last.session_id) return { heldBy: last.session_id };
  }
  return wishes;
}

function mayHave(wish: AddressWish | null, address: string): boolean {
  if (wish === null || "fixed" in wish) return false;
  const family = address.includes(":") ? 6 : 4;
  const number = addressNumber(address);
  const contains = (range: AddressRange) =>
    range.family === family &&
    clientSpans(range, null, wish.excluded).some(([from, to]) => from <= number && number <= to);
  return wish.ranges.some(contains);
}
