import { errorTable, SallyportError } from "../core/errors.ts";

/** Wrong usage: exit status 2. */
export class UsageError extends Error {}

/** The person at the terminal pressed Ctrl-C while being asked: exit status 130. */
export class Interrupted extends Error {}

/**
 * What the daemon answered instead of a result, in its own words: it may know codes that this program does not. Also
 * what goes wrong here where another next step than the table's is of use.
 */
export class Refusal extends Error {
  readonly code: string;
  readonly next: string;

  constructor(error: { code: string; message: string; next: string }) {
    super(error.message);
    this.code = error.code;
    this.next = error.next;
  }
}

/** Code, message and next step of anything that can go wrong here; a fault of ours keeps its message. */
export function failureOf(error: unknown): { code: string; message: string; next: string } {
  if (error instanceof Refusal) return { code: error.code, message: error.message, next: error.next };
  if (error instanceof SallyportError) {
    return { code: error.code, message: error.message, next: errorTable[error.code].next };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: "internal", message, next: "Please report it, with the command that was typed." };
}
