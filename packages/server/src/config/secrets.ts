import { resolve } from "node:path";
import { Secret } from "../core/secret.ts";
import type { Path } from "./faults.ts";
import { readText } from "./read-text.ts";
import { addFault, addWarning, type Reading } from "./reading.ts";

const longestSecretBytes = 64 * 1024;

/**
 * Reads the secret a key such as `secretFile` names: the file's text without its last line break. A file that is
 * missing, empty or not one line is a fault; one that others may read is a warning.
 */
export async function readSecretFile(reading: Reading, path: Path, name: string): Promise<Secret | undefined> {
  const file = resolve(reading.directory, name);
  const result = await readText(file, longestSecretBytes);
  const fault = (found: string) => addFault(reading, { path, expected: `a file with a secret at ${file}`, found });
  if ("trouble" in result) {
    fault(result.trouble);
    return undefined;
  }
  const text = result.text.replace(/\r?\n$/, "");
  if (text === "" || /\p{Cc}/u.test(text)) {
    fault(text === "" ? "an empty file" : "a file with control characters or several lines");
    return undefined;
  }
  if ((result.mode & 0o077) !== 0)
    addWarning(reading, path, `${file} may be read by others (mode ${result.mode.toString(8)}): chmod 600 it`);
  return new Secret(text);
}
