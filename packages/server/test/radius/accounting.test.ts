import { expect, test } from "vitest";
import { endReasons } from "../../src/core/connection.ts";
import { type AccountingEvent, accountingAttributes } from "../../src/radius/accounting.ts";

const event: AccountingEvent = {
  status: "start",
  sessionId: "0190-row",
  userId: "alice",
  nasIdentifier: "vpn.example.org",
  at: new Date("2026-01-02T03:04:05Z"),
  clientAddress: "192.0.2.7",
  ipv4: "10.42.0.2",
  ipv6: "fd42::2",
  bytesIn: 5 * 2 ** 32 + 17,
  bytesOut: 2 ** 32 - 1,
  durationSeconds: 61,
  endReason: null,
  classes: [Buffer.from("c1"), Buffer.from([0xff])],
  delaySeconds: 3,
};

const valuesOf = (one: AccountingEvent) => {
  const values: Record<number, string[]> = {};
  for (const { type, value } of accountingAttributes(one))
    values[type] = [...(values[type] ?? []), value.toString("hex")];
  return values;
};
const text = (value: string) => [Buffer.from(value).toString("hex")];
const number = (value: number) => [value.toString(16).padStart(8, "0")];

test("Start tells who, where from and with which addresses, and nothing of traffic", () => {
  expect(valuesOf(event)).toEqual({
    40: number(1),
    44: text("0190-row"),
    1: text("alice"),
    32: text("vpn.example.org"),
    61: number(5),
    55: number(Date.UTC(2026, 0, 2, 3, 4, 5) / 1000),
    41: number(3),
    31: text("192.0.2.7"),
    8: ["0a2a0002"],
    168: ["fd420000000000000000000000000002"],
    25: [...text("c1"), "ff"],
  });
});

test("Interim and Stop tell traffic beyond 32 bits, and Stop why it ended", () => {
  const traffic = { 46: number(61), 42: number(17), 52: number(5), 43: number(0xffffffff), 53: number(0) };
  expect(valuesOf({ ...event, status: "interim" })).toMatchObject({ ...traffic, 40: number(3) });
  expect(valuesOf({ ...event, status: "interim", endReason: "admin" })[49]).toBeUndefined();
  expect(valuesOf({ ...event, status: "stop", endReason: "client" })).toMatchObject({
    ...traffic,
    49: number(1),
    40: number(2),
  });
});

test("every reason for an end has a cause that RADIUS knows", () => {
  for (const endReason of endReasons) {
    const [cause] = valuesOf({ ...event, status: "stop", endReason })[49] ?? [];
    expect(Number.parseInt(cause ?? "", 16)).toBeGreaterThan(0);
    expect(Number.parseInt(cause ?? "", 16)).toBeLessThan(19);
  }
});
