/** The agent as somebody has it who is no administrator: Wine's one account always is. */
import { runAgent } from "../../../src/cli/program.ts";
import { windowsAccounts } from "../../../src/windows/accounts.ts";

const accounts = await windowsAccounts();
const own = accounts.own();
accounts.own = () => ({ ...own, elevated: false });
process.exitCode = await runAgent(process.argv.slice(2));
