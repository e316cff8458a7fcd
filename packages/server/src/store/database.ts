import type { Kysely, Transaction } from "kysely";
import type { Tables } from "./schema.ts";

/** What an engine gives the queries: the same SQL runs on each of them. */
export type Database = {
  readonly query: Kysely<Tables>;
  /**
   * All or nothing, as if nobody else were writing (serializable), durable when the promise resolves. An engine may
   * run `work` again after a collision, so it does nothing but query.
   */
  transaction<T>(work: (trx: Transaction<Tables>) => Promise<T>): Promise<T>;
  close(): Promise<void>;
};
