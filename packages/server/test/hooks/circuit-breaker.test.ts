import { expect, it } from "vitest";
import { CircuitBreaker } from "../../src/hooks/circuit-breaker.ts";

function breaker() {
  let nowMs = 1_000;
  const circuit = new CircuitBreaker({ failures: 2, pauseMs: 100 }, () => nowMs);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { circuit, pass };
}

it("opens after so many failures in a row, and not for those with successes between", () => {
  const { circuit } = breaker();
  for (let i = 0; i < 5; i += 1) {
    circuit.failed();
    circuit.succeeded();
  }
  circuit.failed();
  expect([circuit.room(), circuit.enter()]).toEqual([Number.POSITIVE_INFINITY, true]);
  circuit.failed();
  expect([circuit.room(), circuit.enter(), circuit.remainingMs()]).toEqual([0, false, 100]);
});

it("lets one through after the pause: its success closes it, its failure begins the pause anew", () => {
  const { circuit, pass } = breaker();
  circuit.failed();
  circuit.failed();
  pass(100);
  expect([circuit.room(), circuit.enter(), circuit.enter(), circuit.room()]).toEqual([1, true, false, 0]);
  circuit.failed();
  expect([circuit.enter(), circuit.remainingMs()]).toEqual([false, 100]);
  pass(100);
  expect(circuit.enter()).toBe(true);
  circuit.succeeded();
  expect([circuit.room(), circuit.enter(), circuit.enter()]).toEqual([Number.POSITIVE_INFINITY, true, true]);
});

it("lets another try where the one let through ended without a word", () => {
  const { circuit, pass } = breaker();
  circuit.failed();
  circuit.failed();
  pass(100);
  circuit.enter();
  circuit.unknown();
  expect(circuit.enter()).toBe(true);
});

it("rests only those that can wait, and the longest time it was asked to", () => {
  const { circuit, pass } = breaker();
  circuit.rest(80);
  circuit.rest(20);
  pass(50);
  expect([circuit.room(), circuit.enter()]).toEqual([0, true]);
  pass(30);
  expect(circuit.room()).toBe(Number.POSITIVE_INFINITY);
});
