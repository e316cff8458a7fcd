import { SallyportError } from "../../src/core/errors.ts";
import { openEngine } from "../../src/store/sqlite/open-engine.ts";
import type { Store } from "../../src/store/store.ts";
import { type Queries, queriesOver, storeOf } from "../../src/store/store-over.ts";

/**
 * The real store in the thread that calls, for tests of what is above it: it opens ten times as fast as the daemon's,
 * whose thread has tests of its own. As there, calls follow one another, and each is durable when it resolves.
 */
export async function openStoreHere(file: string): Promise<Store> {
  const engine = await openEngine({ file, busyTimeoutMs: 5_000 });
  let last: Promise<unknown> = Promise.resolve();
  let closed = false;
  const inTurn = <Result>(verb: () => Promise<Result>): Promise<Result> => {
    const done = last.then(async () => {
      if (closed) throw new SallyportError("store-unavailable", "The store was closed.");
      const result = await engine.call(verb);
      engine.commit();
      return result;
    });
    last = done.catch(() => undefined);
    return done;
  };
  const verbsOf = ([noun, verbs]: [string, Record<string, (...args: unknown[]) => Promise<unknown>>]) => [
    noun,
    Object.fromEntries(
      Object.entries(verbs).map(([name, verb]) => [name, (...args: unknown[]) => inTurn(() => verb(...args))]),
    ),
  ];
  const queries = Object.fromEntries(Object.entries(queriesOver(engine) as never).map(verbsOf as never)) as Queries;
  const close = async () => {
    await inTurn(async () => {
      closed = true;
    });
    await engine.close();
  };
  return storeOf(queries, { close });
}
