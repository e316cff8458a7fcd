import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { HookTerms } from "../../src/core/hook.ts";
import type { BoundHook } from "../../src/hooks/tell.ts";
import { hooksOf, listener, yes } from "./hook.ts";
import { openLedger, type TestLedger } from "./ledger.ts";

export const fixtures = join(import.meta.dirname, "fixtures");
export const no = { ...yes, answer: "no" as const, output: "checking\nnot you\n", error: "exit status 1" };
export let ledger: TestLedger;

beforeEach(async () => {
  ledger = await openLedger();
});
afterEach(() => ledger[Symbol.asyncDispose]());

export const veto = (name: string, answer = yes, changes: Partial<HookTerms> = {}) =>
  listener({ name, veto: true, ...changes }, () => answer);

export async function ask(hooks: readonly BoundHook[]) {
  const connection = await ledger.reserve({ userId: "alice" });
  return { connection, answer: await hooksOf(hooks, ledger.store).vetoes.ask(connection) };
}
