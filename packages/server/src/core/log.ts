import type { Connection } from "./connection.ts";

/** Where a stage writes what administrators read at night; pino's shape. Fields first, then one sentence. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * What each line about a connection says of it: the attempt it came of, and its own id. With the event's and the
 * delivery's beside them, one id leads through the log from the question to the last telling.
 */
export function followed(connection: Pick<Connection, "id" | "attemptId" | "userId">) {
  return { attempt: connection.attemptId, connection: connection.id, user: connection.userId };
}
