import type { Command } from "commander";
import { type CodeWords, codeWords } from "../../api/code-words.ts";
import type { AttemptExplained } from "../../api/commands/attempts.ts";
import { idEndingsOf } from "../../core/attempt-code.ts";
import { errorTable, isErrorCode, SallyportError } from "../../core/errors.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../failure.ts";

type Options = { user?: string; last?: true; code?: string };

/** `sallyport explain …`: why somebody was let in or refused, or what an error code means. */
export function register(program: Command, cli: Cli): void {
  program
    .command("explain [attempt]")
    .description("a decision in plain words, or an error code's meaning")
    .option("--user <name>", "with --last: this user's newest attempt")
    .option("--last", "with --user: the newest attempt")
    .option("--code <code>", "the attempt whose refusal carried this code; or what an error code means")
    .action(async (attempt: string | undefined, options: Options) => {
      const ways = [attempt, options.user, options.code].filter((way) => way !== undefined);
      if (ways.length !== 1) throw new UsageError("give one of an attempt's id, --user NAME --last, and --code CODE");
      if ((options.user === undefined) !== (options.last === undefined)) {
        throw new UsageError("--user and --last go together");
      }
      const { explainAttempt, explainCode } = await import("../explain-attempt.ts");
      if (options.code !== undefined && idEndingsOf(options.code) === undefined) {
        cli.print(await wordsFor(options.code), explainCode);
        return;
      }
      cli.print(await attemptFor(cli, { ...options, attempt }), explainAttempt);
    });
}

async function attemptFor(
  cli: Cli,
  { attempt, code, user }: Options & { attempt: string | undefined },
): Promise<AttemptExplained> {
  if (code !== undefined) return await cli.call("attempt-by-code", { code });
  if (attempt !== undefined) return await cli.call("attempt-show", { id: attempt });
  return await cli.call("attempt-last", { userId: user });
}

async function wordsFor(code: string): Promise<CodeWords> {
  if (isErrorCode(code)) return codeWords(code);
  const known = Object.keys(errorTable).join(", ");
  throw new SallyportError("not-found", `there is no error code ${JSON.stringify(code)}; there are: ${known}`);
}
