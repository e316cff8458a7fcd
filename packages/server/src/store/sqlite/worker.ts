import { parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";
import type { Failure, Opening, Request, Response, Rows, Statement } from "./wire.ts";

/**
 * The thread that has the database open, and the only one that waits for the disk. It does what it is sent, one
 * request after the other; who may send when is the driver's business.
 */

/** Enough for every query of the store in its usual shapes; lists of varying length push the oldest out. */
const STATEMENTS_KEPT = 300;

function open({ file, busyTimeoutMs }: Opening): Database.Database {
  const database = new Database(file, { timeout: busyTimeoutMs });
  database.pragma("journal_mode = WAL");
  // FULL: a commit is on the disk when it returns. The build's default for a write-ahead log would be NORMAL.
  database.pragma("synchronous = FULL");
  database.pragma("foreign_keys = ON");
  database.pragma("trusted_schema = OFF");
  database.pragma("temp_store = MEMORY");
  database.pragma(`journal_size_limit = ${64 * 1024 * 1024}`);
  return database;
}

function failureOf(error: unknown): Failure {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return {
    code: typeof code === "string" && code.startsWith("SQLITE_") ? code : null,
    message: String(message ?? error),
  };
}

const port = parentPort;
if (port === null) throw new Error("this file is the database's thread; it is not a program");
const answer = (response: Response) => port.postMessage(response);

const prepared = new Map<string, Database.Statement>();

function prepare(database: Database.Database, sql: string): Database.Statement {
  const statement = prepared.get(sql) ?? database.prepare(sql);
  prepared.delete(sql);
  prepared.set(sql, statement);
  const oldest = prepared.keys().next();
  if (prepared.size > STATEMENTS_KEPT && !oldest.done) prepared.delete(oldest.value);
  return statement;
}

function run(database: Database.Database, { sql, parameters }: Statement): Rows {
  const statement = prepare(database, sql);
  if (statement.reader) return { rows: statement.all(parameters), affected: null };
  return { rows: [], affected: statement.run(parameters).changes };
}

function perform(database: Database.Database, request: Request): Rows {
  let result: Rows = { rows: [], affected: null };
  if ("statements" in request) for (const statement of request.statements) result = run(database, statement);
  else if ("commit" in request) commit(database);
  else if ("rollback" in request && database.inTransaction) database.exec("rollback to own; release own");
  else if ("close" in request) database.close();
  return result;
}

function commit(database: Database.Database): void {
  try {
    run(database, { sql: "commit", parameters: [] });
  } catch (error) {
    if (database.inTransaction) database.exec("rollback");
    throw error;
  }
}

function serve(database: Database.Database): void {
  port?.on("message", (request: Request) => {
    try {
      answer({ id: request.id, result: perform(database, request) });
    } catch (error) {
      answer({ id: request.id, failure: failureOf(error), inTransaction: database.inTransaction });
    }
    if ("close" in request) port?.close();
  });
  answer({ opened: true });
}

try {
  serve(open(workerData as Opening));
} catch (error) {
  answer({ opened: false, failure: failureOf(error) });
}
