import { resolve } from "node:path";
import { isSea } from "node:sea";

/** What this process was started from: the executable; or Node and the agent's first module, of npm's package or a checkout. */
export function ownProgram(): string[] {
  return isSea() ? [process.execPath] : [process.execPath, resolve(process.argv[1] ?? "")];
}
