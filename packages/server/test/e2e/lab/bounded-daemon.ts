/*
 * A daemon with its own bound of attempts under way, and another program in openvpn's place where one is named:
 * `bounded-daemon.ts CONFIG MOST [PROGRAM]`, until SIGTERM.
 */

import { openLog } from "../../../src/compose/log.ts";
import { composeDaemon } from "../../../src/compose.ts";
import { loadConfig } from "../../../src/config/load.ts";

const [file = "", most = "", openVpnProgram] = process.argv.slice(2);
const config = await loadConfig({ file, environment: process.env });
const stopping = new Promise((resolve) => process.once("SIGTERM", resolve));
const daemon = await composeDaemon({
  config,
  log: openLog(undefined),
  mostAttempts: Number(most),
  ...(openVpnProgram !== undefined && { openVpnProgram }),
});
await daemon.start();
await stopping;
await daemon.stop();
