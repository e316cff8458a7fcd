import { enableCompileCache } from "node:module";
import { resolve } from "node:path";

// Beside the code it was made from: whoever may write there may change that too.
enableCompileCache(resolve(import.meta.dirname, "../../../node_modules/.cache/sallyport"));

const { runAgent } = await import("./cli/program.ts");
process.exitCode = await runAgent(process.argv.slice(2));
// What is still open must not keep the process; what was printed is printed (stdio is synchronous).
setTimeout(() => process.exit(), 500).unref();
