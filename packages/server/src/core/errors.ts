import { errorTable } from "./error-table.ts";

export { errorTable };

export type ErrorCode = keyof typeof errorTable;

/** An error with a code of the table and a message that names the case at hand. Never holds a secret. */
export class SallyportError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SallyportError";
    this.code = code;
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text);
}

export function clientReasonOf(code: ErrorCode): string {
  const reason: string | null = errorTable[code].clientReason;
  return reason ?? "Something went wrong on the VPN server. Please tell your administrator.";
}
