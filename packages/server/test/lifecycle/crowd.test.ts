import { expect, test } from "vitest";
import { inParallel } from "../waiting.ts";
import { openArrow } from "./arrow.ts";

test("2,000 connects, 64 at a time, into one /20: everybody is let in, nobody with another's address", async () => {
  await using arrow = await openArrow({ range: "10.42.0.0/20" });
  const keys = Array.from({ length: 2_000 }, (_, i) => `tunnel ${i}`);
  const told = await inParallel(keys, 64, (key) => arrow.ask(key));
  expect(told.filter((one) => "refused" in one)).toEqual([]);
  const addresses = told.map((one) => "admitted" in one && one.admitted.ipv4?.address);
  expect(new Set(addresses).size).toBe(2_000);
  const rows = await arrow.store.ledger.list({ open: true, limit: 5_000 });
  expect(new Set(rows.map(({ ipv4 }) => ipv4))).toEqual(new Set(addresses));
}, 120_000);

test("the same disconnect told 100 times at once, by daemon, administrator and clock, is one event", async () => {
  await using arrow = await openArrow({ range: "10.42.0.0/20" });
  await arrow.ask("a");
  const [row] = await arrow.store.ledger.list({ open: true, limit: 1 });
  const id = row?.id ?? "";
  const tunnel = { profileId: "office", listener: "udp/1194", key: "a" };
  const tellings = Array.from({ length: 100 }, (_, i) =>
    i % 3 === 0
      ? arrow.connections.gone(tunnel, { bytesIn: 7, bytesOut: 9 })
      : i % 3 === 1
        ? arrow.connections.kill(id, { reason: "admin", detail: null })
        : arrow.connections.killAll({ userId: "user a" }, { reason: "disabled", detail: null }),
  );
  await Promise.all(tellings);
  const told = await arrow.store.deliveries.list({ sessionId: id, limit: 500 });
  expect(told.filter(({ event }) => event === "disconnect")).toHaveLength(1);
  expect(await arrow.store.ledger.list({ open: true, limit: 5 })).toEqual([]);
});
