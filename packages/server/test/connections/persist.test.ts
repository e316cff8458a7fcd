import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { persist } from "../../src/connections/persist.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A database that takes nothing for so long. */
const outage = (ms: number) => {
  const until = Date.now() + ms;
  return async () => {
    if (Date.now() < until) throw new Error("the disk is full");
    return "written";
  };
};

it("writes the end of a tunnel down when the database is there again after an hour", async () => {
  const end = persist(silent, "end", outage(3_600_000), "end");
  await vi.advanceTimersByTimeAsync(3_660_000);
  expect(await end).toBe("written");
});

it("does not keep somebody waiting for an answer that long", async () => {
  const answer = expect(persist(silent, "end", outage(3_600_000))).rejects.toThrow("the disk is full");
  await vi.advanceTimersByTimeAsync(60_000);
  await answer;
});
