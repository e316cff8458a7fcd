import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { openScriptTrial, type ScriptTrial } from "../compose/script-trial.ts";
import { SallyportError } from "../core/errors.ts";
import { readCases } from "../post-auth/cases/case-file.ts";
import type { CaseResult } from "../post-auth/cases/compare.ts";
import { runCases } from "../post-auth/cases/run-cases.ts";
import { describeFault } from "../post-auth/fault-text.ts";
import { loaderFor } from "../post-auth/loaders.ts";
import { languageOf } from "../post-auth/script-text.ts";
import type { LoadOutcome, ScriptFacts, ScriptFault, ScriptHost } from "../runner/runner.ts";
import type { Cli } from "./cli.ts";
import { UsageError } from "./failure.ts";
import { readScriptFile } from "./read-script.ts";

/** A file that was loaded, or why it could not be: one of the two is null. */
export type CheckedFile = {
  id: string;
  ok: boolean;
  facts: ScriptFacts | null;
  fault: ScriptFault | null;
  /** The faults after the first, as far as they are known. */
  more: readonly ScriptFault[];
  /** What could not be looked at, and why. */
  notes: readonly string[];
};

/** Whether a word names a file rather than a stored script: there is one, or the word is a path. */
export async function isScriptFile(word: string): Promise<boolean> {
  return word.includes("/") || (await isFile(word));
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => !found.isDirectory(),
    () => false,
  );
}

/** Loads a file without calling what it defines, and looks for wrong types where its language has them. */
export async function checkScriptFile(cli: Cli, file: string): Promise<CheckedFile> {
  return await withLoaded(cli, { file, thorough: true }, async (outcome) => {
    if ("fault" in outcome) {
      const { fault, more = [] } = outcome;
      return { id: file, ok: false, facts: null, fault, more, notes: [] };
    }
    return { id: file, ok: true, facts: outcome.host.facts, fault: null, more: [], notes: outcome.notes ?? [] };
  });
}

/** Runs a file of cases against a script in a file. Errors: `script-invalid`, `invalid-input`, wrong usage. */
export async function testScriptFile(cli: Cli, file: string, options: { cases?: string; version?: number }) {
  if (options.cases === undefined) throw new UsageError("a script in a file is tested with --cases FILE");
  if (options.version !== undefined) throw new UsageError("--version is for stored scripts, not for files");
  const cases = readCases(await readScriptFile(options.cases, "file of cases"));
  return await withLoaded(cli, { file }, async (outcome, { deadlineMs, load }): Promise<CaseResult[]> => {
    const hostOf = (loaded: LoadOutcome): ScriptHost => {
      if ("host" in loaded) return loaded.host;
      throw new SallyportError("script-invalid", `${file}: ${describeFault(loaded.fault)}`);
    };
    const hostWith = async (settings: Record<string, unknown>) => hostOf(await load(settings));
    return await runCases({ host: hostOf(outcome), hostWith, cases, deadlineMs });
  });
}

type Trial = Pick<ScriptTrial, "deadlineMs"> & {
  /** The same script again, with settings of its own. */
  load: (settings: Record<string, unknown>) => Promise<LoadOutcome>;
};

async function withLoaded<Result>(
  cli: Cli,
  { file, thorough = false }: { file: string; thorough?: boolean },
  use: (outcome: LoadOutcome, trial: Trial) => Promise<Result>,
): Promise<Result> {
  const text = await readScriptFile(file, "script");
  const trial = await openScriptTrial({ configFile: cli.configFile, environment: cli.io.environment });
  try {
    if (!trial.configured && (await isFile(cli.configFile))) {
      cli.note(`${cli.configFile} has faults: the script is run by /usr/bin/python3, as nobody, whatever it says.`);
    }
    const load = loaderFor(trial.loaders, languageOf(file));
    const script = { name: basename(file), text };
    const outcome = await load({ ...script, thorough });
    try {
      const { deadlineMs } = trial;
      return await use(outcome, { deadlineMs, load: (settings) => load({ ...script, settings }) });
    } finally {
      if ("host" in outcome) await outcome.host.close();
    }
  } finally {
    await trial.close();
  }
}
