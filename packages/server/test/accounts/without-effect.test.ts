import { expect, test } from "vitest";
import { reportWithoutEffect } from "../../src/accounts/without-effect.ts";

test("a property that can do nothing is reported once, whoever has it, and only where it asks for something", () => {
  const reports: unknown[] = [];
  const look = reportWithoutEffect((property, userId) => reports.push([property, userId]));
  look({ userId: "alice", properties: { prop_lzo: "false", conn_group: "eng" } });
  look({ userId: "bob", properties: { prop_lzo: "true" } });
  look({ userId: "carol", properties: { prop_lzo: "true" } });
  expect(reports).toEqual([["prop_lzo", "bob"]]);
});
