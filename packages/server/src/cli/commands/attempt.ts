import type { Command } from "commander";
import type { AttemptExplained } from "../../api/commands/attempts.ts";
import type { AttemptRecord } from "../../core/attempt.ts";
import type { Cli } from "../cli.ts";
import { explainAttempt } from "../explain-attempt.ts";
import { localTime, table } from "../for-people.ts";
import { count, since } from "../list-options.ts";

/** `sallyport attempt …`: recorded passes through the auth pipeline. */
export function register(program: Command, cli: Cli): void {
  const attempt = program.command("attempt").description("recorded authentication attempts");
  attempt
    .command("list")
    .description("attempts, newest first; 100 unless told")
    .option("--user <name>", "only this user's")
    .option("--since <span>", "only those since: 24h, 7d, or an ISO 8601 time", since)
    .option("--limit <count>", "at most so many", count)
    .action(async (options: { user?: string; since?: string; limit?: number }) => {
      const filter = { userId: options.user, since: options.since, limit: options.limit };
      cli.printList(await cli.call<AttemptRecord[]>("attempt-list", filter), "No attempt is recorded.", peopleAttempts);
    });
  attempt
    .command("show <id>")
    .description("one attempt with its trace")
    .action(async (id: string) => {
      cli.print(await cli.call<AttemptExplained>("attempt-show", { id }), explainAttempt);
    });
}

function peopleAttempts(attempts: readonly AttemptRecord[]): string {
  return table(
    ["ID", "TIME", "USER", "PROFILE", "FROM", "OUTCOME", "REASON"],
    attempts.map((one) => [
      one.id,
      localTime(one.at),
      one.userId ?? "-",
      one.profileId ?? one.kind,
      one.clientAddress ?? "-",
      one.code ?? one.outcome,
      one.reason.length > 80 ? `${one.reason.slice(0, 77)}...` : one.reason,
    ]),
  );
}
