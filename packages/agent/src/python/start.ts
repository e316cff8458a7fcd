import type { ScriptFile } from "../interpreter/interpret.ts";

/** The command that runs a script in our own Python; the script's path is to follow. */
export function builtInPythonCommand(): { program: string; args: string[] } {
  return { program: process.execPath, args: [] };
}

/** The file that puts our layer in front of a script under the machine's Python. */
export function systemRunner(): ScriptFile {
  return { name: "sallyport-runner.py", extension: "py", contents: "" };
}
