import type { Command } from "commander";
import { readDumps } from "../../api/access-server/read-dump.ts";
import type { ImportReport, ImportStep } from "../../api/commands/import-access-server.ts";
import { SallyportError } from "../../core/errors.ts";
import type { Cli } from "../cli.ts";
import { visible } from "../for-people.ts";
import { decode, readBytes } from "../read-text.ts";

/** The daemon takes four; the rest is what JSON adds on the way. */
const longestDumpBytes = 3 * 1024 * 1024;
const importDeadlineMs = 600_000;

/** `sallyport import …`: what another VPN server knew. */
export function register(program: Command, cli: Cli): void {
  program
    .command("import")
    .description("take over what another VPN server knew")
    .command("access-server <files...>")
    .description("users, groups, properties, settings and the post-auth script from what sacli prints")
    .option("--dry-run", "only say what would be made and changed")
    .action(async (files: string[], options: { dryRun?: true }) => {
      const dumps = await Promise.all(files.map(readDump));
      readDumps(dumps); // What is no dump may be what cannot be sent either: nested without end.
      const input = { dumps, dryRun: options.dryRun === true };
      const report = await cli.call<ImportReport>("import-access-server", input, { deadlineMs: importDeadlineMs });
      cli.print(report, peopleReport);
      if (!report.done) cli.note("Nothing was changed: this was a dry run.");
    });
}

async function readDump(file: string): Promise<unknown> {
  const text = decode(await readBytes(file, { what: "file", maxBytes: longestDumpBytes }), `the file ${file}`);
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw new SallyportError("invalid-input", `${file} is not JSON, as sacli prints it: ${(error as Error).message}`);
  }
}

function peopleReport({ done, made, changed, unchanged, ignored }: ImportReport): string {
  const [make, change] = done ? ["made", "changed"] : ["would be made", "would be changed"];
  const lines = [
    `${made.length} ${make}, ${changed.length} ${change}, ${unchanged} as they are, ${ignored.length} ignored.`,
    ...section(make, made.map(stepLine)),
    ...section(change, changed.map(stepLine)),
    ...section(
      "ignored",
      ignored.map(({ name, key, reason }) => `${place(name, key)}: ${visible(reason)}`),
    ),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function section(heading: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", `${heading}:`, ...lines.map((line) => `  ${line}`)];
}

function stepLine({ name, key, before, after }: ImportStep): string {
  if (after === null) return place(name, key);
  const was = before === null ? "" : `${shortened(before)} -> `;
  return `${place(name, key)}: ${was}${shortened(after)}`;
}

function place(name: string, key: string | null): string {
  return key === null ? visible(name) : `${visible(name)} ${visible(key)}`;
}

function shortened(value: string): string {
  return visible(value.length <= 60 ? value : `${value.slice(0, 57)}...`);
}
