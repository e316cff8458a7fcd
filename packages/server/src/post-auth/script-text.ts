import { SallyportError } from "../core/errors.ts";
import type { Language } from "./loaders.ts";

export const longestScriptBytes = 1024 * 1024;

/** The text of a script or its cases as it can be stored and run: UTF-8 without NULs, of bounded length, without a mark. */
export function readScriptText(given: string | Uint8Array, what: string): string {
  const bytes = typeof given === "string" ? Buffer.from(given) : given;
  const refuse = (message: string) => new SallyportError("script-invalid", `${what} ${message}`);
  if (bytes.length > longestScriptBytes) {
    throw refuse(`is ${bytes.length} bytes long; at most ${longestScriptBytes} can be stored`);
  }
  if (typeof given === "string" && !given.isWellFormed()) throw refuse("is not valid Unicode");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw refuse(
      `is not UTF-8 (line ${firstBrokenLine(bytes)}); convert it, for example with: iconv -f latin1 -t utf-8`,
    );
  }
  const nul = text.indexOf("\0");
  if (nul >= 0) throw refuse(`holds a NUL byte in line ${text.slice(0, nul).split("\n").length}; is it a text file?`);
  if (text.trim() === "") throw refuse("is empty");
  return text;
}

function firstBrokenLine(bytes: Uint8Array): number {
  const text = Buffer.from(bytes).toString("utf8");
  return text.slice(0, text.indexOf("\ufffd")).split("\n").length;
}

/** By the end of a file's name; Python where that says nothing. */
export function languageOf(path: string): Language {
  return /\.[cm]?[jt]s$/i.test(path) ? "typescript" : "python";
}
