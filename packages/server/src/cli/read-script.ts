import { longestScriptBytes, readScriptText } from "../post-auth/script-text.ts";
import { readBytes } from "./read-text.ts";

/** A script or its cases from a file; faults say what to do about them. Errors: `not-found`, `script-invalid`. */
export async function readScriptFile(path: string, what: string): Promise<string> {
  const bytes = await readBytes(path, { what, maxBytes: longestScriptBytes });
  return readScriptText(bytes, `the ${what} ${path}`);
}
