import { join } from "node:path";
import { isSea } from "node:sea";
import type { ScriptFile } from "../interpreter/script-start.ts";
import { isCheckout, layerText } from "./assets.ts";

/** The first argument by which the agent's executable starts as Python. */
export const builtInPythonArgument = "--built-in-python";

/** The command that runs a script in our own Python; the script's path is to follow. */
export function builtInPythonCommand(): { program: string; args: string[] } {
  if (isSea()) return { program: process.execPath, args: [builtInPythonArgument] };
  const main = join(import.meta.dirname, isCheckout() ? "main.ts" : "python.js");
  return { program: process.execPath, args: ["--disable-warning=ExperimentalWarning", main, builtInPythonArgument] };
}

/** The file that puts our layer in front of a script under the machine's Python. */
export function systemRunner(): ScriptFile {
  return { name: "sallyport-runner.py", extension: "py", contents: layerText("layer.py") };
}
