import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Connection } from "../../src/core/connection.ts";
import { startInterim } from "../../src/hooks/interim.ts";
import { silent } from "./hook.ts";
import { reservationFor } from "./ledger.ts";

const everyMs = 60_000;
let begun: number;
let rounds: { stop(): void } | undefined;
let open: Connection[];
let told: { id: string; afterMs: number }[];
let refused: string | undefined;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "setInterval", "clearInterval"] });
  begun = Date.now();
  [open, told, refused] = [[], [], undefined];
});
afterEach(() => {
  rounds?.stop();
  vi.useRealTimers();
});

const start = () => {
  const tell = async ({ id }: Connection) => {
    told.push({ id, afterMs: Date.now() - begun });
    if (id === refused) throw new Error("nobody took note");
  };
  rounds = startInterim({ name: "accounting", everyMs, open: async () => open, tell, log: silent });
};
const admitted = (id: string, atMs: number) => {
  const at = new Date(begun + atMs).toISOString();
  const row = { ...reservationFor({ id }).connection, ipv4: null, ipv6: null, admittedAt: at, state: "open" };
  open.push(row as Connection);
};
const timesOf = (id: string) => told.filter((one) => one.id === id).map(({ afterMs }) => afterMs);
const near = (...expected: number[]) =>
  expected.map((time) => expect.toSatisfy((at: number) => at >= time && at <= time + everyMs / 20));

it("tells of each connection in intervals that count from when it was let in, not from when the daemon started", async () => {
  start();
  admitted("first", 500);
  await vi.advanceTimersByTimeAsync(59_000);
  admitted("second", 59_000);
  await vi.advanceTimersByTimeAsync(131_000);
  expect(timesOf("first")).toEqual(near(60_500, 120_500, 180_500));
  expect(timesOf("second")).toEqual(near(119_000, 179_000));
});

it("keeps to the intervals of connections that are older than the daemon", async () => {
  admitted("adopted", -100_000);
  start();
  await vi.advanceTimersByTimeAsync(85_000);
  expect(timesOf("adopted")).toEqual(near(20_000, 80_000));
});

it("goes on where the clock is set back behind the start of a connection", async () => {
  start();
  admitted("first", 0);
  await vi.advanceTimersByTimeAsync(30_000);
  begun -= 30 * 86_400_000;
  vi.setSystemTime(begun + 30_000);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(timesOf("first")).toHaveLength(2);
});

it("ends a round at the first that nobody takes note of, and tells of all again an interval later", async () => {
  start();
  for (const id of ["a", "b", "c", "d", "e", "f"]) admitted(id, 0);
  refused = "b";
  await vi.advanceTimersByTimeAsync(70_000);
  expect(told.map(({ id }) => id)).toEqual(["a", "b", "c", "d"]);
  refused = undefined;
  await vi.advanceTimersByTimeAsync(50_000);
  expect(timesOf("a")).toEqual(near(60_000, 120_000));
});
