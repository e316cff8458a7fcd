import { describe, expect, test } from "vitest";
import type { Store } from "../../../src/store/store.ts";
import { anEnd, aReservation, at, granted, type OpenStore, range, ranges, withStore } from "./rows.ts";

export function addressesSuite(open: OpenStore): void {
  const take = async (store: Store, ...cidrs: string[]) => {
    const { id, ipv4 } = granted(await store.ledger.reserve(aReservation({}, { ipv4: ranges(...cidrs) })));
    return { id, ipv4 };
  };
  const free = (store: Store, { id }: { id: string }) => store.ledger.end(id, anEnd({ release: true }));

  describe("addresses", () => {
    test("both families are handed out beside each other, beginning after the server's own", () =>
      withStore(open, async ({ ledger }) => {
        const wishes = { ipv4: ranges("10.42.0.0/20"), ipv6: ranges("fd42:1::/64") };
        const got = [];
        for (let i = 0; i < 3; i++) got.push(granted(await ledger.reserve(aReservation({}, wishes))));
        expect(got.map(({ ipv4, ipv6 }) => [ipv4, ipv6])).toEqual([
          ["10.42.0.2", "fd42:1::2"],
          ["10.42.0.3", "fd42:1::3"],
          ["10.42.0.4", "fd42:1::4"],
        ]);
      }));

    test("they go round: a freed one comes again only after all the others", () =>
      withStore(open, async (store) => {
        const cidr = "10.42.0.0/29";
        const seen = [];
        for (let i = 0; i < 11; i++) {
          const taken = await take(store, cidr);
          seen.push(taken.ipv4?.split(".").at(-1));
          await free(store, taken);
        }
        expect(seen.join(" ")).toBe("2 3 4 5 6 2 3 4 5 6 2");
      }));

    test("held ones are passed over, and a full range refuses until one is free", () =>
      withStore(open, async (store) => {
        const held = [];
        for (let i = 0; i < 5; i++) held.push(await take(store, "10.42.0.0/29"));
        const wish = { ipv4: ranges("10.42.0.0/29") };
        expect(await store.ledger.reserve(aReservation({}, wish))).toEqual({
          refused: "no-free-address",
          heldBy: null,
          replaced: [],
        });
        await free(store, held[2] as { id: string });
        expect((await take(store, "10.42.0.0/29")).ipv4).toBe("10.42.0.4");
        await free(store, held[1] as { id: string });
        expect((await take(store, "10.42.0.0/29")).ipv4).toBe("10.42.0.3");
      }));

    test("an ended connection's address stays held until it is released", () =>
      withStore(open, async (store) => {
        const { id } = await take(store, "10.42.0.0/30");
        await store.ledger.end(id, anEnd({ release: false }));
        const wish = { ipv4: ranges("10.42.0.0/30") };
        expect(await store.ledger.reserve(aReservation({}, wish))).toMatchObject({ refused: "no-free-address" });
        await store.ledger.release(id);
        expect((await take(store, "10.42.0.0/30")).ipv4).toBe("10.42.0.2");
      }));

    test("ranges are tried in the order they are given", () =>
      withStore(open, async (store) => {
        const order = [];
        for (let i = 0; i < 3; i++)
          order.push((await take(store, "10.42.0.0/30", "10.43.0.0/30", "10.44.0.0/24")).ipv4);
        expect(order).toEqual(["10.42.0.2", "10.43.0.2", "10.44.0.2"]);
      }));

    test("an excluded range inside is left to those it belongs to", () =>
      withStore(open, async ({ ledger }) => {
        const ipv4 = { ranges: [range("10.42.0.0/28")], excluded: [range("10.42.0.4/30"), range("10.42.0.8/30")] };
        const got = [];
        for (let i = 0; i < 5; i++) got.push(granted(await ledger.reserve(aReservation({}, { ipv4 }))).ipv4);
        expect(got).toEqual(["10.42.0.2", "10.42.0.3", "10.42.0.12", "10.42.0.13", "10.42.0.14"]);
        expect(await ledger.reserve(aReservation({}, { ipv4 }))).toMatchObject({ refused: "no-free-address" });
      }));

    test("a fixed address is given where nobody holds it, and else refused naming the holder", () =>
      withStore(open, async ({ ledger }) => {
        const fixed = { ipv4: { fixed: "10.42.0.3" }, ipv6: { fixed: "fd42:1::7" } };
        const holder = granted(await ledger.reserve(aReservation({}, fixed)));
        expect(holder).toMatchObject({ ipv4: "10.42.0.3", ipv6: "fd42:1::7" });
        expect(await ledger.reserve(aReservation({ userId: "bob" }, fixed))).toEqual({
          refused: "address-in-use",
          heldBy: holder.id,
          replaced: [],
        });
      }));

    test("an address is held once, whatever the profile, and whether it was fixed or of a range", () =>
      withStore(open, async ({ ledger }) => {
        await ledger.reserve(aReservation({ profileId: "mobile" }, { ipv4: { fixed: "10.42.0.2" } }));
        const next = granted(await ledger.reserve(aReservation({}, { ipv4: ranges("10.42.0.0/24") })));
        expect(next.ipv4).toBe("10.42.0.3");
      }));

    test("where one family is refused, the other's address is not kept", () =>
      withStore(open, async ({ ledger }) => {
        const holder = granted(await ledger.reserve(aReservation({}, { ipv4: null, ipv6: { fixed: "fd42:1::7" } })));
        const refused = await ledger.reserve(
          aReservation({}, { ipv4: { fixed: "10.42.0.3" }, ipv6: { fixed: "fd42:1::7" } }),
        );
        expect(refused).toMatchObject({ refused: "address-in-use", heldBy: holder.id });
        expect(granted(await ledger.reserve(aReservation({}, { ipv4: { fixed: "10.42.0.3" } }))).ipv4).toBe(
          "10.42.0.3",
        );
      }));

    test("a gap is found behind many held ones, also across the seams of IPv6", () =>
      withStore(open, async ({ ledger }) => {
        const seam = ["fd42:1::ffff:ffff:fffe", "fd42:1::ffff:ffff:ffff", "fd42:1:0:0:1::", "fd42:1::1:0:0:1"];
        for (const fixed of seam) granted(await ledger.reserve(aReservation({}, { ipv4: null, ipv6: { fixed } })));
        // Everything of the /64 before the seam belongs to somebody else, so the first candidate is at the seam.
        const excluded = Array.from({ length: 47 }, (_, bit) => spanAt(bit));
        const ipv6 = { ranges: [range("fd42:1::/64")], excluded };
        expect(granted(await ledger.reserve(aReservation({}, { ipv4: null, ipv6 }))).ipv6).toBe("fd42:1::1:0:0:2");
      }));

    test("200 reservations at once in a /24 never give one address twice", () =>
      withStore(open, async ({ ledger }) => {
        const all = await Promise.all(
          Array.from({ length: 260 }, (_, i) => ledger.reserve(aReservation({ reservedAt: at(i) }))),
        );
        const addresses = all.flatMap((reserved) => ("connection" in reserved ? [reserved.connection.ipv4] : []));
        expect(new Set(addresses).size).toBe(addresses.length);
        expect(addresses).toHaveLength(253);
        expect(all.filter((reserved) => "refused" in reserved)).toHaveLength(7);
      }));
  });
}

/** The ranges that fill a /80 from its beginning to two before its end, one for each bit. */
function spanAt(bit: number) {
  const first = 2n ** 48n - 2n ** BigInt(48 - bit);
  const hex = first.toString(16).padStart(12, "0");
  return range(`fd42:1::${hex.slice(0, 4)}:${hex.slice(4, 8)}:${hex.slice(8)}/${81 + bit}`);
}
