import { errorTable, SallyportError } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import type { Log } from "../core/log.ts";

/** How every error leaves the server: the table's code, a message for the case at hand, and what to do next. */
export type ErrorBody = { error: { code: string; message: string; next: string } };

/** Anything that is not a SallyportError is a fault of ours: logged under an id, and only the id is told. */
export function errorAnswer(error: unknown, log: Pick<Log, "error">): { httpStatus: number; body: ErrorBody } {
  const known = asKnown(error) ?? hidden(error, log);
  const { httpStatus, next } = errorTable[known.code];
  return { httpStatus, body: { error: { code: known.code, message: known.message, next } } };
}

function asKnown(error: unknown): SallyportError | undefined {
  if (error instanceof SallyportError) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new SallyportError("invalid-input", "the request is too large; a script or its cases may have 1 MiB each");
  }
  // Fastify's own complaints about a request (media type, empty or broken JSON) name no value of it.
  if (typeof code === "string" && code.startsWith("FST_ERR_CTP_")) {
    return new SallyportError("invalid-input", String(message));
  }
  if (error instanceof SyntaxError && "statusCode" in error && error.statusCode === 400) {
    return new SallyportError("invalid-input", "the request is not JSON");
  }
  return undefined;
}

function hidden(error: unknown, log: Pick<Log, "error">): SallyportError {
  const id = newId();
  log.error({ id, err: error }, "a command failed unexpectedly");
  return new SallyportError("internal", `a fault in Sallyport itself; the log has it as ${id}`);
}
