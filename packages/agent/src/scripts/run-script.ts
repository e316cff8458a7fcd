import { createHash } from "node:crypto";
import { constants as fsConstants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { interpret, spawnOf } from "../interpreter/interpret.ts";
import type { Platform, PythonChoice } from "../interpreter/machine.ts";
import type { ScriptFile, ScriptStart } from "../interpreter/script-start.ts";
import type { Account } from "../machine/account.ts";
import { programCheck } from "../machine/developer-tools.ts";
import { writeNewFile } from "../machine/private-directory.ts";
import { BoundedOutput } from "./bounded-output.ts";
import { type ConnectionFacts, refusedNames, scriptEnvironment } from "./environment.ts";
import { makeScriptDirectory, type ScriptDirectory } from "./script-directory.ts";
import { type ScriptCommand, startScript } from "./script-process.ts";

export type ScriptToRun = {
  name: string;
  text: string;
  /** Of the text, lower-case hex: what was consented to. */
  sha256: string;
  environment: Readonly<Record<string, string>>;
};

export type RunTerms = {
  connection: ConnectionFacts;
  account: Account;
  /** Undefined for scripts that run for the machine's owner. */
  session: Readonly<Record<string, string | undefined>> | undefined;
  stdin: string | null;
  deadlineMs: number;
  mostOutputBytes: number;
  /** Below it each script has a directory of its own. */
  base: string;
  python: PythonChoice;
  platform: Platform;
  signal?: AbortSignal | undefined;
  /** For tests: called when the files are there and checked, before the start. */
  beforeStart?: (directory: string) => Promise<void>;
};

export type ScriptOutcome = {
  outcome: "ran" | "failed" | "timed-out";
  exitCode: number | null;
  signal: string | null;
  /** Why it was not run, or was ended. */
  detail: string | null;
  output: string;
  startedAt: string;
  durationMs: number;
};

const mostScriptBytes = 1024 * 1024;
/** Children that a script leaves hold its output open; what it said itself has come by then. */
const drainMs = 250;

/**
 * Runs one script to its end: its files where only the account can read or change them, an environment from nothing, a
 * session of its own that is killed at the deadline, output within a bound; afterwards nothing of it is left. What runs
 * is the text whose hash was consented to: the file is checked through the very descriptor that is executed.
 */
export async function runScript(script: ScriptToRun, terms: RunTerms): Promise<ScriptOutcome> {
  const startedAt = new Date().toISOString();
  const begun = performance.now();
  const end = (outcome: Omit<ScriptOutcome, "startedAt" | "durationMs">): ScriptOutcome => ({
    ...outcome,
    startedAt,
    durationMs: Math.round(performance.now() - begun),
  });
  const failed = (detail: string) => end({ outcome: "failed", exitCode: null, signal: null, detail, output: "" });
  const refused = faultOf(script, terms.platform);
  if (refused !== undefined) return failed(refused);
  try {
    await using directory = await makeScriptDirectory(terms.base);
    const environment = scriptEnvironment({
      ...{ ...terms, defined: script.environment, temporary: directory.temporary, system: process.env },
    });
    const isProgram = await programCheck(terms.platform);
    const start = interpret(
      { text: script.text, fileBase: script.name },
      { platform: terms.platform, environment, directory: directory.path, python: terms.python, isProgram },
    );
    if (start.kind === "refused") return failed(start.reason);
    await using files = await writeFiles(start, directory);
    if (start.privatePrograms.length > 0) environment.PATH += `${delimiter}${directory.programs}`;
    await terms.beforeStart?.(directory.path);
    if (terms.signal?.aborted) return failed("the agent was ended before the script was started");
    return end(await run({ start, script: files.script, environment, directory, terms }));
  } catch (error) {
    return failed(`it could not be started: ${(error as Error).message}`);
  }
}

function faultOf({ text, sha256, environment }: ScriptToRun, platform: Platform): string | undefined {
  const bytes = Buffer.from(text);
  if (bytes.length > mostScriptBytes) return `it is longer than ${mostScriptBytes} bytes`;
  if (createHash("sha256").update(bytes).digest("hex") !== sha256) return "its text is not what its hash says";
  const names = refusedNames(environment, platform);
  if (names.length === 0) return undefined;
  return `variables are defined that could run something else, or are the agent's own: ${names.join(", ")}`;
}

/** Writes the files and opens the script again, for reading, as what was written. */
async function writeFiles(
  start: ScriptStart,
  directory: ScriptDirectory,
): Promise<AsyncDisposable & { script: FileHandle }> {
  const write = (file: ScriptFile, mode: number) => writeNewFile(join(directory.path, file.name), file.contents, mode);
  await write(start.file, 0o500);
  for (const file of start.moreFiles) await write(file, 0o400);
  for (const { name, contents } of start.privatePrograms)
    await writeNewFile(join(directory.programs, name), contents, 0o500);
  const script = await open(join(directory.path, start.file.name), fsConstants.O_RDONLY | fsConstants.O_NOFOLLOW);
  const facts = await script.stat();
  const own = process.getuid?.();
  const written = Buffer.from(start.file.contents);
  const bytes = Buffer.alloc(written.length + 1);
  const { bytesRead } = await script.read(bytes, 0, bytes.length, 0);
  const same = bytes.subarray(0, bytesRead).equals(written);
  if (!same || !facts.isFile() || facts.nlink !== 1 || (own !== undefined && facts.uid !== own)) {
    await script.close();
    throw new Error("its file was changed by somebody else");
  }
  return { script, [Symbol.asyncDispose]: () => script.close() };
}

type Ready = {
  start: ScriptStart;
  script: FileHandle;
  environment: Record<string, string>;
  directory: ScriptDirectory;
  terms: RunTerms;
};

/** On Linux a program is started, and given to the shell, by its descriptor: what its name means by then is no matter. */
function commandOf({ start, directory, terms, script, environment }: Ready): ScriptCommand {
  const command = {
    ...spawnOf(start),
    ...{ commandLine: start.commandLine, environment, temporary: directory.temporary, directory: directory.path },
  };
  const path = join(directory.path, start.file.name);
  const direct = start.program === path || start.program === "/bin/sh";
  if (terms.platform !== "linux" || process.platform !== "linux" || !direct)
    return { ...command, descriptor: undefined };
  const swap = (word: string) => (word === path ? "/proc/self/fd/3" : word);
  return { ...command, program: swap(command.program), args: command.args.map(swap), descriptor: script.fd };
}

async function run(ready: Ready): Promise<Omit<ScriptOutcome, "startedAt" | "durationMs">> {
  const { terms } = ready;
  // There are programs on Windows that open a script only where nobody else has it open.
  if (process.platform === "win32") await ready.script.close();
  const script = await startScript(commandOf(ready));
  // Whoever makes us end at once does not leave it running. What went its own way the next agent finds by its directory.
  process.on("exit", script.endAtExit);
  const output = new BoundedOutput(terms.mostOutputBytes);
  for (const stream of script.outputs) {
    stream.on("data", (chunk: Buffer) => output.add(chunk));
    stream.on("error", () => undefined);
  }
  const closed = Promise.all(
    script.outputs.map((stream) => new Promise<void>((resolve) => stream.once("close", resolve))),
  );
  script.stdin.on("error", () => undefined);
  script.stdin.end(terms.stdin ?? "");
  const stopped = Promise.withResolvers<string>();
  const late = setTimeout(
    () => stopped.resolve(`it did not end within ${terms.deadlineMs} ms and was killed`),
    terms.deadlineMs,
  );
  const abort = () => stopped.resolve("it was killed because the agent was ended");
  terms.signal?.addEventListener("abort", abort);
  if (terms.signal?.aborted) abort();
  const ending = await Promise.race([script.exited, stopped.promise]);
  clearTimeout(late);
  terms.signal?.removeEventListener("abort", abort);
  if (typeof ending === "string") {
    await script.end();
    await Promise.race([script.exited, wait(1_000, undefined, { ref: false })]);
  } else script.release();
  process.off("exit", script.endAtExit);
  await Promise.race([closed, wait(drainMs)]);
  for (const stream of [...script.outputs, script.stdin]) stream.destroy();
  const said = output.text(script.readOutput);
  if (typeof ending === "string")
    return { outcome: "timed-out", exitCode: null, signal: "SIGKILL", detail: ending, output: said };
  const [exitCode, signal] = ending;
  return { outcome: "ran", exitCode, signal, detail: null, output: said };
}
