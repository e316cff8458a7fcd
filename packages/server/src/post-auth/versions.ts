import { createHash } from "node:crypto";
import { SallyportError } from "../core/errors.ts";
import type { ScriptFacts, ScriptFault, ScriptHost } from "../runner/runner.ts";
import type { ScriptStore, ScriptVersion } from "../store/store.ts";
import { readCases } from "./cases/case-file.ts";
import type { CaseResult } from "./cases/compare.ts";
import { runCases } from "./cases/run-cases.ts";
import { describeFault } from "./fault-text.ts";
import { type Language, type Loaders, loaderFor } from "./loaders.ts";
import { readScriptText } from "./script-text.ts";

/** A version as it is listed: everything but its text. */
export type ListedVersion = {
  /** `name@version`. */
  id: string;
  script: string;
  version: number;
  language: Language;
  sha256: string;
  active: boolean;
  hasCases: boolean;
  createdAt: string;
  createdBy: string;
};

export type ListedScript = { id: string; activeVersion: number | null; latestVersion: number; position: number };

type Text = string | Uint8Array;

/** What administrators do with scripts. Whatever changes the live versions is in force when its promise resolves. */
export type ScriptVersions = {
  /** Stores a new version after loading it once; it is not active. */
  add(script: { name: string; text: Text; language?: Language; cases?: Text; by: string }): Promise<ListedVersion>;
  /** Loads without calling. */
  check(script: {
    name: string;
    text: Text;
    language?: Language;
  }): Promise<{ facts: ScriptFacts } | { fault: ScriptFault }>;
  list(): Promise<ListedScript[]>;
  versions(name: string): Promise<ListedVersion[]>;
  text(name: string, version?: number): Promise<ScriptVersion>;
  /** The latest version unless one is named. Stored cases must pass, unless forced. */
  activate(request: { name: string; version?: number; force?: boolean }): Promise<ListedVersion>;
  deactivate(name: string): Promise<void>;
  /** Makes the version active that was so before the present one; its cases are not asked. */
  rollback(name: string): Promise<ListedVersion>;
  remove(name: string): Promise<void>;
  /** Scripts left out follow in their old order. */
  order(names: readonly string[]): Promise<ListedScript[]>;
  /** Runs cases against a stored version (the latest unless one is named), with those given or its own. */
  test(request: { name: string; version?: number; cases?: Text }): Promise<CaseResult[]>;
};

const names = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export function createScriptVersions(options: {
  scripts: ScriptStore;
  loaders: Loaders;
  /** For each call of a case. */
  deadlineMs: () => number;
  /** Puts what the store says is active in force (`PostAuthGate.reload`). */
  applied: () => Promise<void>;
  now?: () => Date;
}): ScriptVersions {
  const { scripts, loaders, deadlineMs, applied } = options;
  const now = () => (options.now?.() ?? new Date()).toISOString();

  async function load(script: { name: string; text: string; language: Language }): Promise<ScriptHost> {
    const outcome = await loaderFor(loaders, script.language)({ name: script.name, text: script.text });
    if ("host" in outcome) return outcome.host;
    throw new SallyportError("script-invalid", `the script ${script.name}: ${describeFault(outcome.fault)}`);
  }

  async function find(name: string, version?: number): Promise<ScriptVersion> {
    const summary = await known(name);
    const found = await scripts.version(name, version ?? summary.latestVersion);
    if (found !== undefined) return found;
    throw new SallyportError("not-found", `the post-auth script ${name} has no version ${version}`);
  }

  async function known(name: string): Promise<ListedScript> {
    const summary = (await scripts.list()).find(({ id }) => id === name);
    if (summary !== undefined) return summary;
    throw new SallyportError("not-found", `there is no post-auth script ${JSON.stringify(name)}`);
  }

  async function makeActive(version: ScriptVersion): Promise<ListedVersion> {
    await scripts.activate(version.script, version.version, now());
    await applied();
    return listed(version, version.version);
  }

  return {
    async add({ name, text: given, language = "python", cases: givenCases, by }) {
      if (!names.test(name)) {
        throw new SallyportError(
          "invalid-input",
          `${JSON.stringify(name)} cannot name a script; use letters, digits, dots, hyphens and underscores (64 at most)`,
        );
      }
      const text = readScriptText(given, `the script ${name}`);
      const cases = givenCases === undefined ? null : readScriptText(givenCases, `the cases of ${name}`);
      if (cases !== null) readCases(cases);
      await (await load({ name, text, language })).close();
      const sha256 = createHash("sha256").update(text).digest("hex");
      const version = { script: name, language, text, sha256, cases, createdAt: now(), createdBy: by };
      return listed(await scripts.addVersion(version), null);
    },

    async check({ name, text: given, language = "python" }) {
      let text: string;
      try {
        text = readScriptText(given, `the script ${name}`);
      } catch (error) {
        return { fault: { message: (error as Error).message, line: null, column: null } };
      }
      const outcome = await loaderFor(loaders, language)({ name, text });
      if ("fault" in outcome) return outcome;
      await outcome.host.close();
      return { facts: outcome.host.facts };
    },

    list: () => scripts.list(),

    async versions(name) {
      const { activeVersion } = await known(name);
      return (await scripts.versions(name)).map((version) => listed(version, activeVersion));
    },

    text: find,

    async activate({ name, version: number, force = false }) {
      const version = await find(name, number);
      const host = await load({ ...version, name });
      try {
        if (version.cases !== null && !force) {
          const results = await runCases({ host, cases: readCases(version.cases), deadlineMs: deadlineMs() });
          refuseFailed(version, results);
        }
      } finally {
        await host.close();
      }
      return makeActive(version);
    },

    async deactivate(name) {
      await known(name);
      await scripts.activate(name, null, now());
      await applied();
    },

    async rollback(name) {
      const { activeVersion } = await known(name);
      const before = (await scripts.activations(name)).find(
        ({ version }) => version !== null && version !== activeVersion,
      );
      if (before?.version == null) {
        throw new SallyportError("conflict", `no other version of ${name} was active before`);
      }
      const version = await find(name, before.version);
      await (await load({ ...version, name })).close();
      return makeActive(version);
    },

    async remove(name) {
      await known(name);
      await scripts.remove(name);
      await applied();
    },

    async order(wanted) {
      for (const name of wanted) await known(name);
      if (new Set(wanted).size < wanted.length) throw new SallyportError("invalid-input", "a script is named twice");
      await scripts.reorder(wanted);
      await applied();
      return scripts.list();
    },

    async test({ name, version: number, cases: given }) {
      const version = await find(name, number);
      const text = given === undefined ? version.cases : readScriptText(given, "the file of cases");
      if (text === null) {
        throw new SallyportError(
          "invalid-input",
          `version ${version.version} of ${name} was stored without cases; name a file`,
        );
      }
      const cases = readCases(text);
      const host = await load({ ...version, name });
      try {
        return await runCases({ host, cases, deadlineMs: deadlineMs() });
      } finally {
        await host.close();
      }
    },
  };
}

function listed({ text: _text, cases, ...version }: ScriptVersion, activeVersion: number | null): ListedVersion {
  const { script, version: number } = version;
  return { id: `${script}@${number}`, ...version, active: number === activeVersion, hasCases: cases !== null };
}

function refuseFailed({ script, version }: ScriptVersion, results: readonly CaseResult[]): void {
  const failed = results.filter(({ passed }) => passed === false).map(({ name }) => JSON.stringify(name));
  if (failed.length === 0) return;
  throw new SallyportError(
    "cases-failed",
    `version ${version} of ${script} was not activated: ${failed.length} of ${results.length} cases failed: ${failed.join(", ")}`,
  );
}
