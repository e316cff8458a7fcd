/** What passes between the thread that asks and the thread that has the database open: lists of these, both ways. */
export type Request =
  /** One method of one noun of the queries. Whoever asked waits no longer than `until` (milliseconds since 1970) for its turn. */
  { id: number; noun: string; verb: string; args: readonly unknown[]; until: number } | { id: number; close: true };

/**
 * `code` is SQLite's extended result code (`SQLITE_FULL`), or null for a fault of another kind; `ours` the code of the
 * error table where it was one of ours.
 */
export type Failure = { code: string | null; message: string; ours?: string };

export type Response =
  /** The first message: whether the file could be opened and brought to this program's schema, and what can be asked. */
  | { opened: true; shape: Shape }
  | { opened: false; failure: Failure }
  | { id: number; result: unknown }
  | { id: number; failure: Failure };

/** Verbs by noun. */
export type Shape = Readonly<Record<string, readonly string[]>>;

export type Opening = { file: string; busyTimeoutMs: number };
