/**
 * The service, where Windows does not tell it who came: as of a client that opens the pipe so that it is asked about only
 * after it has said something. Wine tells it of every client.
 */
import { runAgent } from "../../../src/cli/program.ts";
import { windowsAccounts } from "../../../src/windows/accounts.ts";
import { WindowsError } from "../../../src/windows/system-libraries.ts";

const ERROR_CANNOT_IMPERSONATE = 1368;

const accounts = await windowsAccounts();
accounts.ofPipeClient = () => {
  throw new WindowsError("ImpersonateNamedPipeClient", ERROR_CANNOT_IMPERSONATE, "not before something was read");
};
process.exitCode = await runAgent(["service"]);
