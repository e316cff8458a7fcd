import type { ScriptFault } from "../runner/runner.ts";

/** A fault in one sentence that begins with its place. */
export function describeFault({ message, line, column }: ScriptFault): string {
  if (line === null) return message;
  return column === null ? `line ${line}: ${message}` : `line ${line}, column ${column}: ${message}`;
}
