/** Where the single-file executable begins: as the agent, or as the Python that the agent starts for a script. */
import { runBuiltInPython } from "./python/built-in.ts";
import { builtInPythonArgument } from "./python/start.ts";

const [argument, script] = process.argv.slice(2);
if (argument === builtInPythonArgument && script !== undefined) void runBuiltInPython(script);
else void runAgent();

/** As main.ts does in a checkout. */
async function runAgent(): Promise<void> {
  const program = await import("./cli/program.ts");
  process.exitCode = await program.runAgent(process.argv.slice(2));
  setTimeout(() => process.exit(), 500).unref();
}
