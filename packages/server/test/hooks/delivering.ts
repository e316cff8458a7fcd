import { afterEach, beforeEach } from "vitest";
import type { Delivery, Telling } from "../../src/core/hook.ts";
import type { Hooks, HooksOptions } from "../../src/hooks/dispatch.ts";
import type { BoundHook } from "../../src/hooks/tell.ts";
import { until } from "../waiting.ts";
import { hooksOf, yes } from "./hook.ts";
import { openLedger, type TestLedger } from "./ledger.ts";

export const crashed: Telling = { ...yes, answer: "failed", failure: "crashed", error: "it crashed", output: "half" };
export let ledger: TestLedger;
let started: Hooks[] = [];

beforeEach(async () => {
  ledger = await openLedger();
});
afterEach(async () => {
  await Promise.all(started.map((hooks) => hooks.stop(0)));
  started = [];
  await ledger[Symbol.asyncDispose]();
});

export async function start(hooks: readonly BoundHook[], changes: Partial<HooksOptions> = {}): Promise<Hooks> {
  const working = hooksOf(hooks, changes.store ?? ledger.store, changes);
  started.push(working);
  await working.start();
  return working;
}

/** One connection from admission to its end, as the lifecycle has it. */
export async function passThrough(hooks: Hooks, userId = "alice"): Promise<string> {
  const { id } = await ledger.admitted(hooks.observers(), { userId });
  hooks.wake();
  await ledger.end(id, hooks.subscribers());
  hooks.wake();
  return id;
}

export async function settled(sessionId: string, count: number): Promise<Delivery[]> {
  return until(`${count} deliveries are over`, async () => {
    const all = await ledger.deliveries(sessionId);
    const over = all.every(({ state }) => state === "done" || state === "failed");
    return all.length === count && over ? all : undefined;
  });
}
