import { accessSync, constants, statSync } from "node:fs";

/** Whether this account may run the file at a path. */
export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
