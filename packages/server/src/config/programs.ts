import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import type { PlacedHook } from "./hooks.ts";
import { troubleOf } from "./read-text.ts";
import { addWarning, type Reading } from "./reading.ts";

/**
 * A program that is not there refuses connections (or loses events) when its time comes, but keeps nothing from
 * starting: eduVPN's administrators put the script in place later. They are told at once.
 */
export async function warnOfMissingPrograms(reading: Reading, hooks: readonly PlacedHook[]): Promise<void> {
  for (const { hook, programPath } of hooks) {
    if (hook.kind !== "script" && hook.kind !== "module") continue;
    const trouble = await programTrouble(hook.path, hook.kind === "script");
    if (trouble === undefined) continue;
    const effect = hook.veto && hook.onFailure === "deny" ? "every connection is refused" : "its events wait";
    addWarning(reading, programPath, `${hook.path} is ${trouble}; until that is mended ${effect}`);
  }
}

async function programTrouble(file: string, mustExecute: boolean): Promise<string | undefined> {
  try {
    const found = await stat(file);
    if (found.isDirectory()) return "a directory";
    if (mustExecute && (found.mode & 0o111) === 0) return "not executable";
    if (mustExecute) await access(file, constants.X_OK);
    return undefined;
  } catch (error) {
    const trouble = troubleOf(error);
    return trouble === "no file there" ? "missing" : trouble;
  }
}
