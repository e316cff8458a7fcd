import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { SqliteThread } from "./thread.ts";
import { Turns } from "./turns.ts";
import type { Opening } from "./wire.ts";

export type SqliteOptions = Opening & {
  /** How long a query may wait for its turn, and how many may wait. */
  waiting: { deadlineMs: number; most: number };
};

/**
 * SQLite in a thread of its own, for Kysely. One connection: a transaction has it alone from its first statement to
 * its commit, and everybody takes it in the order of asking.
 */
export function sqliteDialect(options: SqliteOptions): Dialect {
  return {
    createDriver: () => new SqliteDriver(options),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new Adapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

class Adapter extends SqliteAdapter {
  // Kysely's own lock for single connections knows no deadline; the driver's `Turns` does its work.
  override get supportsMultipleConnections(): boolean {
    return true;
  }

  // SQLite's schema changes do belong to the transaction: with this, all migrations run in one, and `begin immediate`
  // makes two processes take turns.
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class SqliteDriver implements Driver {
  readonly #options: SqliteOptions;
  readonly #turns: Turns;
  #connection: SqliteConnection | undefined;

  constructor(options: SqliteOptions) {
    this.#options = options;
    this.#turns = new Turns(options.waiting);
  }

  async init(): Promise<void> {
    this.#connection = new SqliteConnection(await SqliteThread.open(this.#options));
  }

  async acquireConnection(): Promise<SqliteConnection> {
    await this.#turns.take();
    try {
      if (!this.#connection?.alive) await this.init();
    } catch (error) {
      this.#turns.give();
      throw error;
    }
    return this.#connection as SqliteConnection;
  }

  async releaseConnection(): Promise<void> {
    this.#turns.give();
  }

  async beginTransaction(connection: SqliteConnection): Promise<void> {
    connection.begin();
  }

  async commitTransaction(connection: SqliteConnection): Promise<void> {
    await connection.commit();
  }

  async rollbackTransaction(connection: SqliteConnection): Promise<void> {
    await connection.rollback();
  }

  async destroy(): Promise<void> {
    await this.#turns.take();
    await this.#connection?.close();
  }
}

const BEGIN = { sql: "begin immediate", parameters: [] };
const COMMIT = { sql: "commit", parameters: [] };

class SqliteConnection implements DatabaseConnection {
  readonly #thread: SqliteThread;
  #begun: "no" | "with the next statement" | "yes" = "no";

  constructor(thread: SqliteThread) {
    this.#thread = thread;
  }

  get alive(): boolean {
    return this.#thread.alive;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const statement = { sql: query.sql, parameters: query.parameters };
    const statements = this.#begun === "with the next statement" ? [BEGIN, statement] : [statement];
    if (this.#begun !== "no") this.#begun = "yes";
    const { rows, affected } = await this.#thread.run(statements);
    return { rows: rows as R[], ...(affected === null ? {} : { numAffectedRows: BigInt(affected) }) };
  }

  // biome-ignore lint/correctness/useYield: nothing of the store is read as a stream
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error("the store reads no streams: ask for pages with `limit`");
  }

  /**
   * IMMEDIATE takes the write lock at once, so that what a transaction has read stays true until it writes. It
   * travels with the first statement: a transaction of three statements is four round trips, not five.
   */
  begin(): void {
    this.#begun = "with the next statement";
  }

  async commit(): Promise<void> {
    const begun = this.#begun;
    if (begun === "yes") await this.#thread.run([COMMIT]);
    this.#begun = "no";
  }

  /** Never fails: of a dead thread's transaction nothing is left, and the error that led here matters more. */
  async rollback(): Promise<void> {
    this.#begun = "no";
    await this.#thread.rollback().catch(() => undefined);
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}
