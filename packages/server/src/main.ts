import { enableCompileCache } from "node:module";
import { resolve } from "node:path";
import { stopSignalFor } from "./cli/stop-signal.ts";

const argv = process.argv.slice(2);
const stopSignal = stopSignalFor(argv);

// Nearly halves the time a command takes. Beside the code it was made from: whoever may write there may change that too.
enableCompileCache(resolve(import.meta.dirname, "../../../node_modules/.cache/sallyport"));

const { processIo, runCli } = await import("./cli/program.ts");
process.exitCode = await runCli(argv, processIo(stopSignal));
// What a start that failed left open must not keep the process; what was printed is printed (stdio is synchronous).
setTimeout(() => process.exit(), 1000).unref();
