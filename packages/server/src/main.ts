import { enableCompileCache } from "node:module";
import { resolve } from "node:path";

// Nearly halves the time a command takes. Beside the code it was made from: whoever may write there may change that too.
enableCompileCache(resolve(import.meta.dirname, "../../../node_modules/.cache/sallyport"));

const { runCli } = await import("./cli/program.ts");
process.exitCode = await runCli(process.argv.slice(2));
// What a start that failed left open must not keep the process; what was printed is printed (stdio is synchronous).
setTimeout(() => process.exit(), 1000).unref();
