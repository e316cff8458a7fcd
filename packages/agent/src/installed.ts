/** Where the agent begins that npm installed: scripts/agent-package.ts puts its modules into one file. */
import { runAgent } from "./cli/program.ts";

process.exitCode = await runAgent(process.argv.slice(2));
// As main.ts does in a checkout.
setTimeout(() => process.exit(), 500).unref();
