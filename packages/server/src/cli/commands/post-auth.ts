import { type Command, InvalidArgumentError } from "commander";
import type { CaseResult, ListedScript, ListedVersion, ShownVersion } from "../../api/commands/post-auth.ts";
import { languageOf } from "../../post-auth/script-text.ts";
import type { Cli } from "../cli.ts";
import { Refusal, UsageError } from "../failure.ts";
import { localTime, table, visible, visibleLines } from "../for-people.ts";
import { readScriptFile } from "../read-script.ts";
import type { CheckedFile } from "../try-script.ts";
import { whoTypes } from "../who-types.ts";
import { addComparing } from "./post-auth-attempts.ts";
import { addSettling } from "./post-auth-shipped.ts";

/** `sallyport post-auth …`: the scripts that decide after authentication, as versions. */
export function register(program: Command, cli: Cli): void {
  const postAuth = program.command("post-auth").description("post-auth scripts and their versions");
  addStoring(postAuth, cli);
  addSettling(postAuth, cli);
  addLooking(postAuth, cli);
  addGoingLive(postAuth, cli);
  addTrying(postAuth, cli);
  addComparing(postAuth, cli);
}

function addStoring(postAuth: Command, cli: Cli): void {
  postAuth
    .command("add <name> <file>")
    .description("store a new version of a script; `activate` makes it live")
    .option("--cases <file>", "cases that must pass before this version goes live")
    .action(async (name: string, file: string, options: { cases?: string }) => {
      const text = await readScriptFile(file, "script");
      const cases = options.cases === undefined ? undefined : await readScriptFile(options.cases, "file of cases");
      const script = { name, text, cases, language: languageOf(file), by: await whoTypes(cli) };
      cli.print(
        await cli.call<ListedVersion>("post-auth-add", script),
        (one) => `Stored version ${one.version} of ${visible(one.script)}.\n`,
      );
      cli.note(`It is not live yet: \`sallyport post-auth activate ${name}\`.`);
    });
  postAuth
    .command("remove <name>")
    .description("remove a script with all its versions")
    .action(async (name: string) => {
      cli.print(await cli.call("post-auth-remove", { name }), () => `Removed ${visible(name)}.\n`);
    });
}

function addLooking(postAuth: Command, cli: Cli): void {
  postAuth
    .command("list")
    .description("the scripts in the order they run")
    .action(async () => {
      const scripts = await cli.call<ListedScript[]>("post-auth-list", {});
      cli.printList(scripts, "There are no post-auth scripts.", peopleScripts);
    });
  postAuth
    .command("versions <name>")
    .description("a script's versions")
    .action(async (name: string) => {
      const versions = await cli.call<ListedVersion[]>("post-auth-versions", { name });
      cli.printList(versions, "There are no versions.", peopleVersions);
    });
  postAuth
    .command("show <name> [version]")
    .description("print a version's text; the latest unless one is named")
    .action(async (name: string, version: string | undefined) => {
      const shown = await cli.call<ShownVersion>("post-auth-show", { name, version: versionNumber(version) });
      cli.print(shown, ({ text }) => (cli.io.stdout.isTTY ? visibleLines(text) : text));
    });
}

function addGoingLive(postAuth: Command, cli: Cli): void {
  postAuth
    .command("activate <name> [version]")
    .description("make a version live, the latest unless one is named; its cases must pass")
    .option("--force", "even if its cases fail")
    .action(async (name: string, version: string | undefined, options: { force?: true }) => {
      const wanted = { name, version: versionNumber(version), force: options.force === true };
      cli.print(await cli.call<ListedVersion>("post-auth-activate", wanted), peopleLive);
    });
  postAuth
    .command("deactivate <name>")
    .description("take a script out of the chain; its versions stay")
    .action(async (name: string) => {
      cli.print(await cli.call("post-auth-deactivate", { name }), () => `${visible(name)} is no longer live.\n`);
    });
  postAuth
    .command("rollback <name>")
    .description("make the version live that was so before the present one")
    .action(async (name: string) => {
      cli.print(await cli.call<ListedVersion>("post-auth-rollback", { name }), peopleLive);
    });
  postAuth
    .command("order <names...>")
    .description("set the order scripts run in; those left out follow as they were")
    .action(async (names: string[]) => {
      cli.print(await cli.call<ListedScript[]>("post-auth-order", { names }), peopleScripts);
    });
}

function addTrying(postAuth: Command, cli: Cli): void {
  postAuth
    .command("check <file>")
    .description("load a script without running it, and report the line of any fault; needs no running daemon")
    .action(async (file: string) => {
      const { checkScriptFile } = await import("../try-script.ts");
      const checked = await checkScriptFile(cli, file);
      cli.print(checked, ({ facts }) => (facts === null ? "" : `${visible(file)} defines ${facts.entry} and loads.\n`));
      for (const note of checked.notes) cli.note(`${visible(file)}: ${note}`);
      if (checked.fault !== null) {
        const message = [checked.fault, ...checked.more].map((fault) => placed(file, fault)).join("\n");
        const next = checked.more.length > 0 ? "Mend those lines and check again." : "Mend that line and check again.";
        throw new Refusal({ code: "script-invalid", message, next });
      }
    });
  postAuth
    .command("test <script>")
    .description("run cases against a stored script (by name) or a file, without a login; a file needs no daemon")
    .option("--cases <file>", "the cases; a stored script has its own unless told")
    .option("--version <number>", "which version of a stored script; the latest unless told", wholeNumber)
    .action(async (script: string, options: { cases?: string; version?: number }) => {
      const { isScriptFile, testScriptFile } = await import("../try-script.ts");
      const results = (await isScriptFile(script))
        ? await testScriptFile(cli, script, options)
        : await testStored(cli, script, options);
      cli.print(results, peopleResults);
      const failed = results.filter(({ passed }) => passed === false).length;
      if (failed > 0) {
        const message = `${failed} of ${results.length} cases failed`;
        throw new Refusal({
          code: "cases-failed",
          message,
          next: "Mend the script, or the case that expects too much.",
        });
      }
    });
}

function placed(file: string, { line, column, message }: NonNullable<CheckedFile["fault"]>): string {
  if (line === null) return `${file}: ${message}`;
  return `${file}, line ${line}${column === null ? "" : `, column ${column}`}: ${message}`;
}

/** One run of a stored script's cases may take as long as all of its calls. */
const testDeadlineMs = 600_000;

async function testStored(
  cli: Cli,
  name: string,
  { cases: file, version }: { cases?: string; version?: number },
): Promise<CaseResult[]> {
  const cases = file === undefined ? undefined : await readScriptFile(file, "file of cases");
  return await cli.call<CaseResult[]>("post-auth-test", { name, version, cases }, { deadlineMs: testDeadlineMs });
}

function versionNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new UsageError(`${JSON.stringify(text)} is no version: versions count from 1`);
  return Number(text);
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("Versions count from 1.");
  return Number(text);
}

function peopleLive(version: ListedVersion): string {
  return `Version ${version.version} of ${visible(version.script)} is live.\n`;
}

function peopleScripts(scripts: readonly ListedScript[]): string {
  return table(
    ["ORDER", "NAME", "LIVE VERSION", "LATEST"],
    scripts.map((one, index) => [
      String(index + 1),
      one.id,
      one.activeVersion === null ? "none" : String(one.activeVersion),
      String(one.latestVersion),
    ]),
  );
}

function peopleVersions(versions: readonly ListedVersion[]): string {
  return table(
    ["VERSION", "LIVE", "LANGUAGE", "CASES", "STORED", "BY", "SHA-256"],
    versions.map((one) => [
      String(one.version),
      one.active ? "yes" : "",
      one.language,
      one.hasCases ? "yes" : "no",
      localTime(one.createdAt),
      one.createdBy,
      one.sha256.slice(0, 12),
    ]),
  );
}

function peopleResults(results: readonly CaseResult[]): string {
  const words = (passed: boolean | null) => (passed === null ? "ran   " : passed ? "passed" : "FAILED");
  const lines = results.flatMap((one) => [
    `${words(one.passed)}  ${visible(one.name)} (${one.status === 0 ? "admits" : "denies"}, ${Math.round(one.duration_ms)} ms)`,
    ...one.differences.map((difference) => `        ${visible(difference)}`),
    ...(one.error === null || one.passed === true ? [] : block("error", one.error)),
    ...(one.printed === "" || one.passed === true ? [] : block("printed", one.printed)),
  ]);
  return lines.map((line) => `${line}\n`).join("");
}

function block(heading: string, text: string): string[] {
  const lines = visibleLines(text.trimEnd()).split("\n");
  return [`        ${heading}:`, ...lines.map((line) => `          ${line}`)];
}
