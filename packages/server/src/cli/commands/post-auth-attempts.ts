import type { Command } from "commander";
import type { ShownVersion } from "../../api/commands/post-auth.ts";
import type { RecordedCase, ReplayReport } from "../../api/commands/post-auth-attempts.ts";
import { languageOf } from "../../post-auth/script-text.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { localTime, timeAgo, visible, visibleLines } from "../for-people.ts";
import { diffLines, hunks } from "../line-diff.ts";
import { count, since } from "../list-options.ts";
import { claimPrivateFile } from "../new-file.ts";
import { readScriptFile } from "../read-script.ts";

const replayDeadlineMs = 600_000;
const usualSpan = "24h";

/** `sallyport post-auth record|replay|diff`: scripts beside what really happened, and beside each other. */
export function addComparing(postAuth: Command, cli: Cli): void {
  postAuth
    .command("record <attempt>")
    .description("a case made of a real attempt, without its secrets")
    .option("--out <file>", "write it into a new file")
    .action(async (attempt: string, options: { out?: string }) => {
      const recorded = await cli.call<RecordedCase>("post-auth-record", { id: attempt });
      const { stringify } = await import("yaml");
      const text = recorded.notes.map((note) => `# ${note}\n`).join("") + stringify([recorded.case], { lineWidth: 0 });
      if (options.out === undefined) return cli.print([recorded.case], () => text);
      await (await claimPrivateFile(options.out, { force: false })).write(text);
      cli.note(`Wrote ${options.out}.`);
    });
  postAuth
    .command("replay <script>")
    .description("run a draft, by its name or in a file, over recorded attempts; changes nothing")
    .option("--since <span>", `attempts since: 24h, 7d, or an ISO 8601 time; ${usualSpan} unless told`, since)
    .option("--limit <count>", "at most so many attempts, newest first; 1000 unless told", count)
    .option("--version <number>", "which version of a stored script; the latest unless told", Number)
    .option("--in-place-of <name>", "which active script a file stands for")
    .action(async (script: string, options: ReplayOptions) => {
      const draft = await draftOf(script, options);
      const from = options.since ?? timeAgo(usualSpan);
      const input = { draft, since: from, limit: options.limit };
      cli.print(
        await cli.call<ReplayReport>("post-auth-replay", input, { deadlineMs: replayDeadlineMs }),
        peopleReplay,
      );
    });
  postAuth
    .command("diff <name> [version] [other]")
    .description("what differs between two versions: from the live one to the latest unless told")
    .action(async (name: string, version: string | undefined, other: string | undefined) => {
      const [from, to] = await versionsOf(cli, name, [version, other]);
      const [before, after] = await Promise.all(
        [from, to].map((number) => cli.call<ShownVersion>("post-auth-show", { name, version: number })),
      );
      if (before === undefined || after === undefined) return;
      const lines = hunks(diffLines(linesOf(before.text), linesOf(after.text)));
      cli.print({ id: name, from, to, lines }, () => lines.map((line) => `${visibleLines(line)}\n`).join(""));
      if (lines.length === 0) cli.note(`Versions ${from} and ${to} of ${name} are the same.`);
    });
}

type ReplayOptions = { since?: string; limit?: number; version?: number; inPlaceOf?: string };

async function draftOf(script: string, { version, inPlaceOf }: ReplayOptions): Promise<object> {
  const { isScriptFile } = await import("../try-script.ts");
  if (version !== undefined && !(Number.isInteger(version) && version > 0)) {
    throw new UsageError("versions count from 1");
  }
  if (!(await isScriptFile(script))) {
    if (inPlaceOf !== undefined) throw new UsageError("--in-place-of is for a script in a file");
    return { name: script, version };
  }
  if (version !== undefined) throw new UsageError("--version is for stored scripts, not for files");
  return { text: await readScriptFile(script, "script"), language: languageOf(script), inPlaceOf };
}

/** The live version and the latest stand in for those that were not named. */
async function versionsOf(
  cli: Cli,
  name: string,
  given: readonly (string | undefined)[],
): Promise<[from: number, to: number]> {
  const [from, to] = given.map((text) => {
    if (text !== undefined && !/^[1-9]\d{0,8}$/.test(text)) throw new UsageError("versions count from 1");
    return text === undefined ? undefined : Number(text);
  });
  const versions = await cli.call<{ version: number; active: boolean }[]>("post-auth-versions", { name });
  const latest = Math.max(...versions.map(({ version }) => version));
  const live = versions.find(({ active }) => active)?.version;
  return [from ?? live ?? Math.max(1, latest - 1), to ?? latest];
}

function linesOf(text: string): string[] {
  return text.replace(/\r?\n$/, "").split(/\r?\n/);
}

function peopleReplay({ since: from, chain, replayed, same, different, notReplayed }: ReplayReport): string {
  const left = notReplayed.reduce((sum, one) => sum + one.count, 0);
  const lines = [
    `${chain.map(visible).join(", ")} since ${localTime(from)}: ${replayed} attempts replayed, ` +
      `${same} decided the same, ${different.length} differently; ${left} could not be replayed.`,
  ];
  for (const one of different) {
    lines.push("", `${localTime(one.at)} ${visible(one.userId ?? "-")} (${visible(one.attemptId)})`);
    lines.push(...one.differences.map((difference) => `  ${visible(difference)}`));
  }
  if (left > 0) lines.push("", "Not replayed:");
  for (const { reason, count: many, attempts } of notReplayed) {
    lines.push(`  ${many}: ${visible(reason)} (${attempts[0]}${many > 1 ? ", …" : ""})`);
  }
  return lines.map((line) => `${line}\n`).join("");
}
