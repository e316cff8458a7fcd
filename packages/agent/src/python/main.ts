import { runBuiltInPython } from "./built-in.ts";
import { builtInPythonArgument } from "./start.ts";

const [argument, script] = process.argv.slice(2);
if (argument !== builtInPythonArgument || script === undefined) {
  process.stderr.write(`usage: main.ts ${builtInPythonArgument} SCRIPT\n`);
  process.exit(2);
}
await runBuiltInPython(script);
