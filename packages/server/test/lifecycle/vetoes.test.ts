import { expect, test } from "vitest";
import { openArrow } from "./arrow.ts";

test("whose hooks' yes could not be written down is not let in, and nothing of the connection stays", async () => {
  const vetoes = {
    ask: async () => ({ allowed: true as const, recorded: Promise.reject(new Error("the disk is full")) }),
  };
  await using arrow = await openArrow({ range: "10.42.0.0/29", vetoes });
  expect(await arrow.ask("a")).toMatchObject({ refused: { code: "internal" } });
  const [row] = await arrow.store.ledger.list({ limit: 1 });
  expect(row).toMatchObject({ endReason: "rejected", endDetail: expect.stringContaining("the disk is full") });
  expect(await arrow.store.ledger.unfinished({ nodeNumber: 0 })).toEqual([]);
});
