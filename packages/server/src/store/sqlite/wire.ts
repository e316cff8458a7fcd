/** What passes between the thread that queries and the thread that has the database open. */
export type Statement = { sql: string; parameters: readonly unknown[] };

/** `statements` run in order; the answer is the last one's. The first that fails is the answer, and the rest do not run. */
export type Request =
  | { id: number; statements: readonly Statement[] }
  /** Commits what is open; where that fails, it is rolled back. */
  | { id: number; commit: true }
  /** Undoes what was done since the savepoint, if it is open: SQLite undoes a transaction by itself after some errors. */
  | { id: number; rollback: true }
  | { id: number; close: true };

export type Rows = { rows: unknown[]; affected: number | null };

/** `code` is SQLite's extended result code (`SQLITE_FULL`), or null for a fault of another kind. */
export type Failure = { code: string | null; message: string };

export type Response =
  /** The first message: whether the file could be opened. */
  | { opened: true }
  | { opened: false; failure: Failure }
  | { id: number; result: Rows }
  | { id: number; failure: Failure; inTransaction: boolean };

export type Opening = { file: string; busyTimeoutMs: number };
