import type { Transaction } from "kysely";
import { type AddressRange, addressNumber, addressOf, clientSpans } from "../core/address-range.ts";
import { prepared } from "./prepared.ts";
import type { AddressTable, Tables } from "./schema.ts";
import type { AddressWish, Holding, Reservation } from "./store.ts";

export type Taken =
  | { address: string }
  | { refused: "address-in-use"; heldBy: string }
  | { refused: "no-free-address"; heldBy: null };

/** Takes an address for a connection; the primary key of `addresses` is what keeps it from being held twice. */
async function takeAddress(trx: Transaction<Tables>, wish: AddressWish, holder: string): Promise<Taken> {
  if ("fixed" in wish) {
    if (await hold(trx, wish.fixed, holder)) return { address: wish.fixed };
    const { connection_id } = await trx
      .selectFrom("addresses")
      .select("connection_id")
      .where("address", "=", wish.fixed)
      .executeTakeFirstOrThrow();
    return { refused: "address-in-use", heldBy: connection_id };
  }
  for (const range of wish.ranges) {
    const address = await takeFrom(trx, range, wish.excluded, holder);
    if (address !== undefined) return { address };
  }
  return { refused: "no-free-address", heldBy: null };
}

/** An address of each family that is wished for, all or none. What the holder has already stays its own; one that is new (`anew`) has none. */
export async function takeAddresses(
  trx: Transaction<Tables>,
  { holder, wishes, anew }: { holder: string; wishes: Pick<Reservation, "ipv4" | "ipv6">; anew: boolean },
): Promise<Holding | Extract<Taken, { refused: string }>> {
  const held = anew
    ? []
    : await trx.selectFrom("addresses").select("address").where("connection_id", "=", holder).execute();
  const before = (family: 4 | 6) =>
    held.find(({ address }) => address.includes(":") === (family === 6))?.address ?? null;
  const holding: Holding = { ipv4: before(4), ipv6: before(6) };
  const takenNow: string[] = [];
  for (const family of ["ipv4", "ipv6"] as const) {
    const wish = wishes[family];
    if (wish === null || holding[family] !== null) continue;
    const taken = await takeAddress(trx, wish, holder);
    if ("refused" in taken) {
      if (takenNow.length > 0) await trx.deleteFrom("addresses").where("address", "in", takenNow).execute();
      return taken;
    }
    holding[family] = taken.address;
    takenNow.push(taken.address);
  }
  return holding;
}

export async function freeAddresses(trx: Transaction<Tables>, holder: string): Promise<void> {
  await deleteOfHolder(trx, { holder });
}

const deleteOfHolder = prepared((query, { holder }: { holder: string }) =>
  query.deleteFrom("addresses").where("connection_id", "=", holder),
);

/**
 * The range's next free address, from where the last one was handed out. The number of queries does not grow with
 * the range or with how many of it are held: either the next one is free, or the engine finds the nearest gap.
 */
async function takeFrom(
  trx: Transaction<Tables>,
  range: AddressRange,
  excluded: readonly AddressRange[],
  holder: string,
): Promise<string | undefined> {
  const [cursor] = (await selectCursor(trx, { range: range.cidr })).rows;
  for (const [from, to] of clientSpans(range, cursor?.address ?? null, excluded)) {
    const number = await takeBetween(trx, range.family, from, to, holder);
    if (number === undefined) continue;
    const address = addressOf(range.family, number);
    await moveCursor(trx, { range: range.cidr, address });
    return address;
  }
  return undefined;
}

const selectCursor = prepared((query, { range }: { range: string }) =>
  query.selectFrom("address_cursors").select("address").where("range", "=", range),
);
const moveCursor = prepared((query, { range, address }: { range: string; address: string }) =>
  query
    .insertInto("address_cursors")
    .values({ range, address })
    .onConflict((conflict) => conflict.column("range").doUpdateSet({ address })),
);

async function takeBetween(
  trx: Transaction<Tables>,
  family: 4 | 6,
  from: bigint,
  to: bigint,
  holder: string,
): Promise<bigint | undefined> {
  // Block by block. A block holds more addresses than a database can, so the first one has a gap or is the span's end.
  for (let start = from; start <= to; ) {
    if (await hold(trx, addressOf(family, start), holder)) return start;
    const blockEnd = start | (PLACES - 1n);
    const end = blockEnd < to ? blockEnd : to;
    const gap = await firstGap(trx, family, start, end);
    if (gap !== undefined && (await hold(trx, addressOf(family, gap), holder))) return gap;
    start = end + 1n;
  }
  return undefined;
}

/** The nearest free address after `from`, which is held, up to `to`, which is in the same block. */
async function firstGap(
  trx: Transaction<Tables>,
  family: 4 | 6,
  from: bigint,
  to: bigint,
): Promise<bigint | undefined> {
  const { block, place } = placeOf(family, from);
  const row = await trx
    .selectFrom("addresses as held")
    .select("held.place")
    .where("held.block", "=", block)
    .where("held.place", ">=", place)
    .where("held.place", "<", placeOf(family, to).place)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("addresses as next")
            .select("next.place")
            .whereRef("next.block", "=", "held.block")
            .where("next.place", "=", (eb) => eb("held.place", "+", 1)),
        ),
      ),
    )
    .orderBy("held.place")
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? undefined : from + BigInt(Number(row.place) - place + 1);
}

async function hold(trx: Transaction<Tables>, address: string, holder: string): Promise<boolean> {
  const place = placeOf(address.includes(":") ? 6 : 4, addressNumber(address));
  const { numAffectedRows } = await insertUnlessHeld(trx, { address, ...place, connection_id: holder });
  return (numAffectedRows ?? 0n) > 0n;
}

const insertUnlessHeld = prepared((query, row: AddressTable) =>
  query
    .insertInto("addresses")
    .values(row)
    .onConflict((conflict) => conflict.doNothing()),
);

const PLACES = 2n ** 48n;

function placeOf(family: 4 | 6, number: bigint): { block: string; place: number } {
  if (family === 4) return { block: "4", place: Number(number) };
  return { block: (number / PLACES).toString(16).padStart(20, "0"), place: Number(number % PLACES) };
}
