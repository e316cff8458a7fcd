import { Command, CommanderError } from "commander";
import { findConfigFile, standardConfigFile } from "../config/paths.ts";
import { version } from "../core/version.ts";
import type { Cli, CliIo } from "./cli.ts";
import { UsageError } from "./failure.ts";
import { visibleLines } from "./for-people.ts";
import { takeGlobalOptions } from "./global-options.ts";
import { groups } from "./groups.ts";
import { printingTo, reportFailure, watchOutput } from "./print.ts";
import type { Questions } from "./questions.ts";

const usualDeadlineMs = 120_000;

/**
 * Carries out one command line (without the program's own two words) and gives its exit status: 0 done, 1 refused or
 * failed, 2 wrong usage, 130 interrupted at a question. Never throws, never ends the process.
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const output = watchOutput(io);
  let json = argv.includes("--json");
  let questions: Questions | undefined;
  try {
    if (argv.some((word) => word.includes("\uFFFD"))) throw new UsageError("an argument is not valid UTF-8");
    const options = takeGlobalOptions(argv);
    json = options.json;
    const { questionsOn } = await import("./questions.ts");
    const cli: Cli = {
      json,
      configFile: findConfigFile({ explicit: options.configFile, environment: io.environment }),
      io,
      questions: () => {
        questions ??= questionsOn(io);
        return questions;
      },
      async call<Result>(command: string, input: object, { deadlineMs = usualDeadlineMs } = {}) {
        const { callDaemon, dataDirectoryOf } = await import("./daemon.ts");
        const dataDirectory = await dataDirectoryOf(cli.configFile, io.environment);
        return (await callDaemon({ dataDirectory, command, input, deadlineMs })) as Result;
      },
      ...printingTo(io, json),
    };
    const program = await programFor(options.rest, cli);
    await program.parseAsync(options.rest, { from: "user" });
    // A stream tells of a failed write a moment later.
    await new Promise(setImmediate);
    return output.failed() ? 1 : 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return reportFailure(error, io, json);
  } finally {
    questions?.close();
  }
}

/** Of all groups only the one that is asked for, or asked about, is there in full. */
async function programFor(words: readonly string[], cli: Cli): Promise<Command> {
  const asked = words.find((word) => !word.startsWith("-"));
  const helpAbout = asked === "help" ? words[words.indexOf("help") + 1] : undefined;
  return await buildProgram(cli, (name) => name === asked || name === helpAbout);
}

/** The program with the whole of the wanted groups, and the others by name. */
export async function buildProgram(cli: Cli, isWanted: (group: string) => boolean): Promise<Command> {
  const program = new Command("sallyport")
    .description("The programmable gate for OpenVPN and WireGuard.")
    .option("--config <file>", `configuration file (default $SALLYPORT_CONFIG, then ${standardConfigFile})`)
    .option("--json", "print JSON")
    .version(version, "--version", "print the version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => cli.io.stdout.write(text),
      writeErr: (text) => cli.io.stderr.write(visibleLines(text)),
      outputError: (text, write) => write(text.replace(/^error: /, "sallyport: ")),
    })
    .showHelpAfterError("Try the same with --help.");
  for (const [name, group] of Object.entries(groups)) {
    if (isWanted(name)) (await group.load()).register(program, cli);
    else program.command(name).description(group.summary);
  }
  return program;
}

export function processIo(stopSignal: CliIo["stopSignal"]): CliIo {
  return {
    stopSignal,
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
  };
}
