import SQLite from "better-sqlite3";
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  Kysely,
  type LogConfig,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import type { Database } from "../database.ts";
import type { Tables } from "../schema.ts";
import type { Opening } from "./wire.ts";

/** Enough for every query of the store in its usual shapes; lists of varying length push the oldest out. */
const STATEMENTS_KEPT = 300;

/**
 * SQLite in the thread that calls it. By itself each statement outside a transaction is durable when it returns. For
 * many calls at once there are groups: calls follow one another in one transaction, each may fail without the others
 * (savepoints), and one commit makes all of them durable.
 */
export class SqliteEngine implements Database {
  readonly query: Kysely<Tables>;
  readonly #sqlite: SQLite.Database;
  readonly #prepared = new Map<string, SQLite.Statement>();
  #grouping = false;
  /** The present call has written, or is to write: what it did can be undone alone. */
  #marked = false;

  constructor({ file, busyTimeoutMs, log }: Opening & { log?: LogConfig }) {
    this.#sqlite = new SQLite(file, { timeout: busyTimeoutMs });
    try {
      this.#sqlite.pragma("journal_mode = WAL");
      // FULL: a commit is on the disk when it returns. The build's default for a write-ahead log would be NORMAL.
      this.#sqlite.pragma("synchronous = FULL");
      this.#sqlite.pragma("foreign_keys = ON");
      this.#sqlite.pragma("trusted_schema = OFF");
      this.#sqlite.pragma("temp_store = MEMORY");
      this.#sqlite.pragma(`journal_size_limit = ${64 * 1024 * 1024}`);
    } catch (error) {
      this.#sqlite.close();
      throw error;
    }
    this.query = new Kysely<Tables>({ dialect: this.#dialect(), ...(log && { log }) });
  }

  transaction: Database["transaction"] = (work) => this.query.transaction().execute(work);

  async close(): Promise<void> {
    await this.query.destroy();
    this.#sqlite.close();
  }

  /** Whether a group has written anything that is not committed yet. */
  get unsettled(): boolean {
    return this.#sqlite.inTransaction;
  }

  /** One call of a group. What a failing one did is undone; what those before it did stays, if SQLite can keep it. */
  async call<T>(work: () => Promise<T>): Promise<T> {
    this.#grouping = true;
    this.#marked = false;
    try {
      const result = await work();
      if (this.#marked) this.#run("release call");
      return result;
    } catch (error) {
      this.#undoCall();
      throw error;
    } finally {
      this.#grouping = false;
    }
  }

  /** Makes the calls of the group durable, or fails and undoes them all. */
  commit(): void {
    try {
      if (this.#sqlite.inTransaction) this.#run("commit");
    } catch (error) {
      if (this.#sqlite.inTransaction) this.#run("rollback");
      throw error;
    }
  }

  /** SQLite undoes whole transactions by itself after some errors: then no savepoint is left either. */
  #undoCall(): void {
    if (!this.#marked || !this.#sqlite.inTransaction) return;
    this.#run("rollback to call");
    this.#run("release call");
  }

  /** IMMEDIATE takes the write lock at once, so that what a call has read stays true until it writes. */
  #beginWriting(): void {
    if (this.#marked && !this.#sqlite.inTransaction) throw new Error("the database undid what this call did");
    if (this.#marked) return;
    if (!this.#sqlite.inTransaction) this.#run("begin immediate");
    this.#run("savepoint call");
    this.#marked = true;
  }

  #dialect(): Dialect {
    const connection: DatabaseConnection = {
      executeQuery: async <R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> => {
        const statement = this.#prepare(sql);
        if (this.#grouping && !statement.readonly) this.#beginWriting();
        if (statement.reader) return { rows: statement.all(parameters) as R[] };
        return { rows: [], numAffectedRows: BigInt(statement.run(parameters).changes) };
      },
      // biome-ignore lint/correctness/useYield: nothing of the store is read as a stream
      async *streamQuery() {
        throw new Error("the store reads no streams: ask for pages with `limit`");
      },
    };
    return {
      createDriver: () => ({
        init: async () => {},
        acquireConnection: async () => connection,
        releaseConnection: async () => {},
        beginTransaction: async () => (this.#grouping ? this.#beginWriting() : this.#run("begin immediate")),
        commitTransaction: async () => (this.#grouping ? undefined : this.#run("commit")),
        rollbackTransaction: async () => {
          if (this.#sqlite.inTransaction) this.#run(this.#grouping ? "rollback to call" : "rollback");
        },
        destroy: async () => {},
      }),
      createQueryCompiler: () => new SqliteQueryCompiler(),
      createAdapter: () => new Adapter(),
      createIntrospector: (db) => new SqliteIntrospector(db),
    };
  }

  #prepare(sql: string): SQLite.Statement {
    const statement = this.#prepared.get(sql) ?? this.#sqlite.prepare(sql);
    this.#prepared.delete(sql);
    this.#prepared.set(sql, statement);
    const oldest = this.#prepared.keys().next();
    if (this.#prepared.size > STATEMENTS_KEPT && !oldest.done) this.#prepared.delete(oldest.value);
    return statement;
  }

  #run(sql: string): void {
    this.#prepare(sql).run();
  }
}

class Adapter extends SqliteAdapter {
  // SQLite's schema changes do belong to the transaction: with this, all migrations run in one, and `begin immediate`
  // makes two processes take turns.
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}
