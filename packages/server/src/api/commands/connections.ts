import { z } from "zod";
import { type Connection, secondsOpen } from "../../core/connection.ts";
import { SallyportError } from "../../core/errors.ts";
import type { Delivery } from "../../core/hook.ts";
import { maskSecrets } from "../../core/properties.ts";
import type { ClientScriptStore, KeptReport, ReportCounts } from "../../store/client-script-store.ts";
import type { DeliveryStore, Ledger } from "../../store/store.ts";
import { type CommandTable, command } from "../command.ts";
import { id, limit, name, time } from "../input.ts";

/** A row of the ledger as it is shown: secrets among its properties masked. */
export type ConnectionView = Connection & { durationSeconds: number };

/** How many scripts on the user's machine came out how; null where none was reported. */
export type LoggedConnection = ConnectionView & { clientScriptCounts: ReportCounts | null };

/** `clientScripts`: what the agent told of the scripts on the user's machine. */
export type ConnectionDetails = ConnectionView & { deliveries: Delivery[]; clientScripts: KeptReport[] };

const mostDeliveries = 1000;

/** The ledger, read, and the ending of a connection. */
export function connectionCommands(deps: {
  list: Ledger["list"];
  get: Ledger["get"];
  /** False where it had ended already. Ends it as `admin`. */
  kill(id: string, options: { mayReturn: boolean }): Promise<boolean>;
  deliveries: DeliveryStore["list"];
  reports: Pick<ClientScriptStore, "reports" | "reportCounts">;
}): CommandTable {
  const existing = async (wanted: string): Promise<Connection> => {
    const found = await deps.get(wanted);
    if (!found) throw new SallyportError("not-found", `there is no connection ${JSON.stringify(wanted)}`);
    return found;
  };
  const which = { userId: name.optional(), profileId: name.optional() };

  return {
    "connection-list": command({
      summary: "Connections that have not ended, newest first.",
      input: z.strictObject({ ...which, limit: limit(100_000) }),
      run: async (filter) => (await deps.list({ ...filter, open: true })).map(viewOf),
    }),
    "connection-log": command({
      summary: "Connections open and ended, newest first.",
      input: z.strictObject({ ...which, since: time.optional(), limit: limit(100) }),
      run: async (filter): Promise<LoggedConnection[]> => {
        const connections = await deps.list(filter);
        const counts = await deps.reports.reportCounts(connections.map((one) => one.id));
        const countsOf = new Map(counts.map(({ connectionId, ...rest }) => [connectionId, rest]));
        return connections.map((one) => ({ ...viewOf(one), clientScriptCounts: countsOf.get(one.id) ?? null }));
      },
    }),
    "connection-show": command({
      summary: "One connection, and what its hooks were told.",
      input: z.strictObject({ id }),
      run: async (input): Promise<ConnectionDetails> => {
        const connection = await existing(input.id);
        const deliveries = await deps.deliveries({ sessionId: connection.id, limit: mostDeliveries });
        return { ...viewOf(connection), deliveries, clientScripts: await deps.reports.reports(connection.id) };
      },
    }),
    "connection-kill": command({
      summary: "Ends a connection.",
      input: z.strictObject({ id, mayReturn: z.boolean().default(false) }),
      run: async ({ id: wanted, mayReturn }): Promise<ConnectionView> => {
        await existing(wanted);
        if (!(await deps.kill(wanted, { mayReturn }))) {
          throw new SallyportError("conflict", `the connection ${wanted} has ended already`);
        }
        return viewOf(await existing(wanted));
      },
    }),
  };
}

function viewOf(connection: Connection): ConnectionView {
  const { properties, group } = connection;
  return {
    ...connection,
    properties: maskSecrets(properties),
    group: group && { ...group, properties: maskSecrets(group.properties) },
    durationSeconds: secondsOpen(connection, { nowMs: Date.now() }),
  };
}
