import type { ScriptFault } from "../runner/runner.ts";

/** A fault in one sentence that begins with its place. */
export function describeFault({ message, line, column }: ScriptFault): string {
  if (line === null) return message;
  return column === null ? `line ${line}: ${message}` : `line ${line}, column ${column}: ${message}`;
}

/** What ends it that everybody is denied because a live script does not load, for whoever is woken by that. */
export function wayOut(script: string): string {
  return `mend what it names, or run \`sallyport post-auth rollback ${script}\` or \`sallyport post-auth deactivate ${script}\``;
}
