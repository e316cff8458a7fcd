import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { stopRequests } from "../../src/cli/stop-requests.ts";

test("a terminal that is closed says so several times, and is waited for all the same", () => {
  const process = new EventEmitter();
  const { stop, hurry } = stopRequests(process, () => expect.unreachable());
  for (const signal of ["SIGHUP", "SIGHUP", "SIGHUP", "SIGTERM", "SIGTERM"]) process.emit(signal);
  expect([stop.aborted, hurry.aborted]).toEqual([true, false]);
});

test("the second Ctrl-C ends scripts, the third everything, as a key or as a signal", () => {
  const process = new EventEmitter();
  let exits = 0;
  const { stop, hurry, interrupt } = stopRequests(process, () => {
    exits += 1;
  });
  interrupt();
  expect([stop.aborted, hurry.aborted, exits]).toEqual([true, false, 0]);
  process.emit("SIGINT");
  expect([hurry.aborted, exits]).toEqual([true, 0]);
  interrupt();
  expect(exits).toBe(1);
});
