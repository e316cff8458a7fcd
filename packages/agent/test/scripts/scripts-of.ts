import { join } from "node:path";
import { ownAccount } from "../../src/machine/account.ts";
import { ConnectionScripts, type ConnectionScriptsOptions } from "../../src/scripts/connection-scripts.ts";
import { type PretendServer, ticket } from "./pretend-server.ts";

const me = await ownAccount();

/** What a tunnel that is up tells. */
export const facts = { ipFour: "10.42.0.9", ipSix: undefined, ticket };

/** The scripts of a connection to such a server, all of which may run, in a directory of a test's own. */
export function scriptsOf(
  server: PretendServer,
  directory: string,
  changes: Partial<ConnectionScriptsOptions>,
): ConnectionScripts {
  return new ConnectionScripts({
    config: server.config,
    account: me,
    environment: {},
    asksForTicket: false,
    server: "vpn.example.org",
    platform: "linux",
    python: "auto",
    base: join(directory, "scripts"),
    connectDeadlineMs: 20_000,
    disconnectDeadlineMs: 10_000,
    userScriptsRefused: undefined,
    decide: async () => ({ run: true }),
    remember: async () => undefined,
    administrator: { missing: "no service here" },
    tell: () => undefined,
    log: () => undefined,
    ...changes,
  });
}
