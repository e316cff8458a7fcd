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
import { SharedCommit } from "./shared-commit.ts";
import { SqliteThread } from "./thread.ts";
import { Turns } from "./turns.ts";
import type { Opening, Rows, Statement } from "./wire.ts";

export type SqliteOptions = Opening & {
  /** How long a query may wait for its turn, and how many may wait. */
  waiting: { deadlineMs: number; most: number };
};

/**
 * SQLite in a thread of its own, for Kysely. One connection: a transaction has it alone from its first statement to
 * its last, and everybody takes it in the order of asking.
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

/** So many transactions share a commit at most, so that the first need not wait long for the last. */
const MOST_TOGETHER = 32;

class SqliteDriver implements Driver {
  readonly #options: SqliteOptions;
  readonly #turns: Turns;
  readonly #shared = new SharedCommit();
  #thread: SqliteThread | undefined;

  constructor(options: SqliteOptions) {
    this.#options = options;
    this.#turns = new Turns(options.waiting);
  }

  async init(): Promise<void> {
    this.#thread = await SqliteThread.open(this.#options);
  }

  async acquireConnection(): Promise<SqliteConnection> {
    const connection = new SqliteConnection({
      take: () => this.#take(),
      give: () => this.#give(),
      shared: this.#shared,
    });
    await connection.takeTurn();
    return connection;
  }

  async releaseConnection(connection: SqliteConnection): Promise<void> {
    connection.giveTurn();
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
    if (this.#shared.isOpen && this.#thread) this.#shared.settleWith(this.#thread.commit());
    await this.#thread?.close();
  }

  async #take(): Promise<Turn> {
    await this.#turns.take();
    try {
      if (!this.#thread?.alive) {
        this.#shared.fail(this.#thread?.dead);
        await this.init();
      }
    } catch (error) {
      this.#turns.give();
      throw error;
    }
    return { thread: this.#thread as SqliteThread, isAwaited: () => this.#turns.waiting > 0 };
  }

  /** Commits first where nobody follows, or enough have. The next one's first statement travels right behind. */
  #give(): void {
    const isLast = this.#turns.waiting === 0 || this.#shared.size >= MOST_TOGETHER;
    if (this.#shared.isOpen && isLast) this.#shared.settleWith((this.#thread as SqliteThread).commit());
    this.#turns.give();
  }
}

type Turn = { thread: SqliteThread /** Whether others wait for theirs. */; isAwaited: () => boolean };

const BEGIN = { sql: "begin immediate", parameters: [] };
const SAVEPOINT = { sql: "savepoint own", parameters: [] };
const RELEASE = { sql: "release own", parameters: [] };

type Surroundings = { take: () => Promise<Turn>; give: () => void; shared: SharedCommit };

/** One transaction or one statement. It gives its turn up as soon as its last statement is sent. */
class SqliteConnection implements DatabaseConnection {
  readonly #surroundings: Surroundings;
  #turn: Turn | undefined;
  #begun: "no" | "with the next statement" | "yes" = "no";

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  async takeTurn(): Promise<Turn> {
    this.#turn ??= await this.#surroundings.take();
    return this.#turn;
  }

  giveTurn(): void {
    if (this.#turn === undefined) return;
    this.#turn = undefined;
    this.#surroundings.give();
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const turn = await this.takeTurn();
    const { shared } = this.#surroundings;
    const statements: Statement[] = [{ sql: query.sql, parameters: query.parameters }];
    if (this.#begun === "with the next statement") {
      this.#begun = "yes";
      statements.unshift(...(shared.isOpen ? [SAVEPOINT] : [BEGIN, SAVEPOINT]));
      shared.open();
    } else if (this.#begun === "no" && !shared.isOpen && turn.isAwaited() && !isRead(query)) {
      statements.unshift(BEGIN);
      shared.open();
    }
    const rows = await this.#run(turn, statements);
    // What it has read or written may still be undone with the transactions before it.
    if (this.#begun === "no") await this.#finish();
    return asResult<R>(rows);
  }

  // biome-ignore lint/correctness/useYield: nothing of the store is read as a stream
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error("the store reads no streams: ask for pages with `limit`");
  }

  /**
   * IMMEDIATE takes the write lock at once, so that what a transaction has read stays true until it writes. It
   * travels with the first statement.
   */
  begin(): void {
    this.#begun = "with the next statement";
  }

  /** Resolves when it is on the disk. */
  async commit(): Promise<void> {
    const begun = this.#begun;
    this.#begun = "no";
    if (begun !== "yes" || this.#turn === undefined) return;
    const released = this.#turn.thread.run([RELEASE]);
    await Promise.all([released, this.#finish()]);
  }

  /** Never fails: of a dead thread's transaction nothing is left, and the error that led here matters more. */
  async rollback(): Promise<void> {
    const begun = this.#begun;
    this.#begun = "no";
    // Without the turn, the commit has failed, and undone everything.
    if (begun === "yes") await this.#turn?.thread.rollback().catch(() => undefined);
  }

  async #finish(): Promise<void> {
    const { shared } = this.#surroundings;
    const done = shared.isOpen ? shared.join() : undefined;
    this.giveTurn();
    await done;
  }

  /** After some errors SQLite undoes the whole transaction: then those who share it have failed with this one. */
  async #run({ thread }: Turn, statements: readonly Statement[]): Promise<Rows> {
    try {
      return await thread.run(statements);
    } catch (error) {
      const { shared } = this.#surroundings;
      if (shared.isOpen && !thread.inTransaction) shared.fail(error);
      throw error;
    }
  }
}

function asResult<R>({ rows, affected }: Rows): QueryResult<R> {
  return { rows: rows as R[], ...(affected === null ? {} : { numAffectedRows: BigInt(affected) }) };
}

function isRead({ sql }: CompiledQuery): boolean {
  return /^\s*select\b/i.test(sql);
}
