import type { Command } from "commander";
import type { ConnectionDetails, ConnectionView, LoggedConnection } from "../../api/commands/connections.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { details, localTime, readableBytes, readableDuration, table, visible, visibleLines } from "../for-people.ts";
import { count, since } from "../list-options.ts";

type Filter = { user?: string; profile?: string; limit?: number; since?: string };

/** `sallyport connection …`: the ledger. */
export function register(program: Command, cli: Cli): void {
  const connection = program.command("connection").description("connections: open, past, and ending one");
  const filtered = (command: Command) =>
    command
      .option("--user <name>", "only this user's")
      .option("--profile <id>", "only this profile's")
      .option("--limit <count>", "at most so many", count);

  filtered(connection.command("list").description("connections that have not ended, newest first")).action(
    async (options: Filter) => {
      const open = await cli.call<ConnectionView[]>("connection-list", filterOf(options));
      cli.printList(open, "Nobody is connected.", peopleOpen);
    },
  );
  filtered(connection.command("log").description("connections open and ended, newest first; 100 unless told"))
    .option("--since <span>", "only those begun since: 24h, 7d, or an ISO 8601 time", since)
    .action(async (options: Filter) => {
      const all = await cli.call<LoggedConnection[]>("connection-log", filterOf(options));
      cli.printList(all, "No connection is recorded.", peopleLog);
    });
  connection
    .command("show <id>")
    .description("one connection, and what its hooks were told")
    .action(async (id: string) => {
      cli.print(await cli.call<ConnectionDetails>("connection-show", { id }), peopleConnection);
    });
  connection
    .command("kill [id]")
    .description("end a connection, or all of a user's")
    .option("--user <name>", "end all of this user's connections")
    .option("--may-return", "let the client reconnect by itself")
    .action(async (id: string | undefined, options: { user?: string; mayReturn?: true }) => {
      if ((id === undefined) === (options.user === undefined)) throw new UsageError("give either an id or --user");
      const ids = id === undefined ? await openOf(cli, options.user ?? "") : [id];
      const mayReturn = options.mayReturn === true;
      const ended = await Promise.all(
        ids.map((one) => cli.call<ConnectionView>("connection-kill", { id: one, mayReturn })),
      );
      if (id !== undefined) cli.print(ended[0], () => `Ended connection ${visible(id)}.\n`);
      else {
        cli.printList(ended, "Nothing to end: the user is not connected.", (all) =>
          all.map((one) => `Ended connection ${visible(one.id)}.\n`).join(""),
        );
      }
    });
}

async function openOf(cli: Cli, userId: string): Promise<string[]> {
  return (await cli.call<ConnectionView[]>("connection-list", { userId })).map((one) => one.id);
}

function filterOf({ user, profile, limit, since }: Filter): object {
  return { userId: user, profileId: profile, limit, since };
}

function addresses(connection: ConnectionView): string {
  return [connection.ipv4, connection.ipv6].filter((address) => address !== null).join(", ");
}

function peopleOpen(connections: readonly ConnectionView[]): string {
  return table(
    ["ID", "USER", "PROFILE", "ADDRESSES", "FROM", "SINCE", "FOR", "IN", "OUT"],
    connections.map((one) => [
      one.id,
      one.userId,
      one.profileId,
      addresses(one),
      one.originatingIp ?? "-",
      localTime(one.admittedAt ?? one.reservedAt),
      one.state === "reserved" ? "connecting" : readableDuration(one.durationSeconds),
      readableBytes(one.bytesIn),
      readableBytes(one.bytesOut),
    ]),
  );
}

function peopleLog(connections: readonly LoggedConnection[]): string {
  const reported = connections.some(({ clientScriptCounts }) => clientScriptCounts !== null);
  return table(
    [
      ...["ID", "USER", "PROFILE", "ADDRESSES", "FROM", "BEGAN", "LASTED", "IN", "OUT", "END"],
      ...(reported ? ["CLIENT SCRIPTS"] : []),
    ],
    connections.map((one) => [
      one.id,
      one.userId,
      one.profileId,
      addresses(one),
      one.originatingIp ?? "-",
      localTime(one.reservedAt),
      readableDuration(one.durationSeconds),
      readableBytes(one.bytesIn),
      readableBytes(one.bytesOut),
      one.endReason ?? one.state,
      ...(reported ? [countWords(one)] : []),
    ]),
  );
}

function countWords({ clientScriptCounts: counts }: LoggedConnection): string {
  if (counts === null) return "";
  const { succeeded, failed, refused } = counts;
  const parts = [[succeeded, "done"] as const, [failed, "failed"] as const, [refused, "refused"] as const];
  return parts.flatMap(([count, word]) => (count > 0 ? [`${count} ${word}`] : [])).join(", ");
}

function peopleConnection(connection: ConnectionDetails): string {
  const ended = connection.endedAt !== null;
  const facts = details([
    ["id", connection.id],
    ["user", connection.userId],
    ["profile", `${connection.profileId} (${connection.protocol}, ${connection.listener})`],
    ["device", connection.connectionId],
    ["state", connection.state],
    ["addresses", addresses(connection)],
    ["from", connection.originatingIp],
    ["group", connection.group?.name ?? null],
    ["attempt", connection.attemptId],
    ["asked", localTime(connection.reservedAt)],
    ["admitted", connection.admittedAt && localTime(connection.admittedAt)],
    ["established", connection.establishedAt && localTime(connection.establishedAt)],
    ["ended", connection.endedAt && localTime(connection.endedAt)],
    ["reason", connection.endReason],
    ["detail", connection.endDetail],
    [ended ? "lasted" : "for", readableDuration(connection.durationSeconds)],
    ["from client", readableBytes(connection.bytesIn)],
    ["to client", readableBytes(connection.bytesOut)],
  ]);
  const properties = Object.entries(connection.properties);
  const parts = [facts];
  if (properties.length > 0) parts.push(table(["PROPERTY", "VALUE"], properties));
  if (connection.deliveries.length > 0) parts.push(peopleDeliveries(connection));
  if (connection.clientScripts.length > 0) parts.push(peopleReports(connection));
  return parts.join("\n");
}

function peopleDeliveries({ deliveries }: ConnectionDetails): string {
  const overview = table(
    ["HOOK", "EVENT", "STATE", "ATTEMPTS", "TOOK", "ERROR"],
    deliveries.map((one) => [
      one.hook,
      one.event,
      one.state,
      String(one.attempts),
      one.durationMs === null ? "-" : `${one.durationMs} ms`,
      one.error ?? "",
    ]),
  );
  const printed = deliveries
    .filter((one) => one.output !== null && one.output !== "")
    .map((one) => `\n${visible(one.hook)} printed at ${one.event}:\n${indented(one.output ?? "")}`);
  return overview + printed.join("");
}

function peopleReports({ clientScripts }: ConnectionDetails): string {
  const overview = table(
    ["CLIENT SCRIPT", "EVENT", "PRIVILEGE", "OUTCOME", "EXIT", "TOOK", "WHY"],
    clientScripts.map((one) => [
      one.name,
      one.event,
      one.privilege,
      one.outcome,
      one.signal ?? (one.exitCode === null ? "-" : String(one.exitCode)),
      `${one.durationMs} ms`,
      one.detail ?? "",
    ]),
  );
  const printed = clientScripts
    .filter((one) => one.output !== "")
    .map((one) => `\n${visible(one.name)} printed on the user's machine at ${one.event}:\n${indented(one.output)}`);
  return overview + printed.join("");
}

function indented(output: string): string {
  return visibleLines(output.trimEnd())
    .split("\n")
    .map((line) => `  ${line}\n`)
    .join("");
}
