import { type ErrorCode, errorTable } from "../core/errors.ts";

/** What the error table says of a code. */
export type CodeWords = {
  code: ErrorCode;
  kind: string;
  httpStatus: number;
  meaning: string;
  next: string;
  clientReason: string | null;
};

export function codeWords(code: ErrorCode): CodeWords {
  return { code, ...errorTable[code] };
}
