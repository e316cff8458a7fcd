import { SallyportError } from "../../core/errors.ts";
import type { Queries } from "../store-over.ts";
import { SqliteThread } from "./thread.ts";
import type { Opening } from "./wire.ts";

/** How long a call may wait for its turn, and how many may wait. */
export type Waiting = { deadlineMs: number; most: number };

/** The queries, done in the thread that has the database open; one that died is started again by the next call. */
export async function queriesInThread(
  opening: Opening,
  waiting: Waiting,
): Promise<{ queries: Queries; close: () => Promise<void> }> {
  let thread = await SqliteThread.open(opening);
  let starting: Promise<SqliteThread> | undefined;
  let closed = false;

  async function restarted(): Promise<SqliteThread> {
    starting ??= SqliteThread.open(opening).finally(() => {
      starting = undefined;
    });
    thread = await starting;
    return thread;
  }

  async function call(noun: string, verb: string, args: readonly unknown[]): Promise<unknown> {
    if (closed) throw new SallyportError("store-unavailable", "The store was closed.");
    if (thread.waiting >= waiting.most) throw tooSlow(`${thread.waiting} calls wait already`);
    const until = Date.now() + waiting.deadlineMs;
    const open = thread.alive ? thread : await restarted();
    return await open.call({ noun, verb, args, until });
  }

  const verbsOf = ([noun, verbs]: [string, readonly string[]]) => [
    noun,
    Object.fromEntries(verbs.map((verb) => [verb, (...args: unknown[]) => call(noun, verb, args)])),
  ];
  const queries: Queries = Object.fromEntries(Object.entries(thread.shape).map(verbsOf));
  return {
    queries,
    async close() {
      closed = true;
      await starting?.catch(() => undefined);
      await thread.close();
    },
  };
}

function tooSlow(what: string): SallyportError {
  return new SallyportError(
    "store-unavailable",
    `The database is too slow: ${what}. Check the disk (\`iostat -x\`) and what else uses it.`,
  );
}
