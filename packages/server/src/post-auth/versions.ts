import { createHash } from "node:crypto";
import { SallyportError } from "../core/errors.ts";
import type { ScriptFacts, ScriptFault, ScriptHost, ScriptToLoad } from "../runner/runner.ts";
import type { ScriptStore, ScriptVersion, SettingStore } from "../store/store.ts";
import { readCases, type ScriptCase } from "./cases/case-file.ts";
import type { CaseResult } from "./cases/compare.ts";
import { runCases } from "./cases/run-cases.ts";
import { describeFault } from "./fault-text.ts";
import { type Language, type Loaders, loaderFor } from "./loaders.ts";
import { readSettings, type ScriptSettings, settingsKey } from "./script-settings.ts";
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

export type CheckedScript =
  /** `notes`: what could not be looked at, and why. */
  | { facts: ScriptFacts; notes?: readonly string[] }
  /** The first fault, and those after it as far as they are known. */
  | { fault: ScriptFault; more?: readonly ScriptFault[] };

/** A script's settings: what it declares, what an administrator set, and what is in force. */
export type ListedSettings = { id: string; defaults: ScriptSettings; set: ScriptSettings; inForce: ScriptSettings };

/** What administrators do with scripts. Whatever changes the live versions is in force when its promise resolves. */
export type ScriptVersions = {
  /** Stores a new version after loading it once; it is not active. */
  add(script: { name: string; text: Text; language?: Language; cases?: Text; by: string }): Promise<ListedVersion>;
  /** Loads without calling. */
  check(script: { name: string; text: Text; language?: Language }): Promise<CheckedScript>;
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
  settings(name: string): Promise<ListedSettings>;
  /** Sets all settings of a script, in JSON; undefined: none, so that its defaults hold. The script must accept them. */
  configure(request: { name: string; settings: string | undefined }): Promise<ListedSettings>;
};

const names = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export function createScriptVersions(options: {
  scripts: ScriptStore;
  settings: SettingStore;
  loaders: Loaders;
  /** For each call of a case. */
  deadlineMs: () => number;
  /** Puts what the store says is active in force (`PostAuthGate.reload`). */
  applied: () => Promise<void>;
  now?: () => Date;
}): ScriptVersions {
  const { scripts, settings, loaders, deadlineMs, applied } = options;
  const now = () => (options.now?.() ?? new Date()).toISOString();

  async function load({ language, ...script }: ScriptToLoad & { language: Language }): Promise<ScriptHost> {
    const outcome = await loaderFor(loaders, language)(script);
    if ("host" in outcome) return outcome.host;
    throw new SallyportError("script-invalid", `the script ${script.name}: ${describeFault(outcome.fault)}`);
  }

  async function storedSettings(name: string): Promise<ScriptSettings | undefined> {
    const text = await settings.get(settingsKey(name));
    return text === undefined ? undefined : readSettings(text);
  }

  const loadWith = ({ script: name, text, language }: ScriptVersion, set: ScriptSettings | undefined) =>
    load({ name, text, language, ...(set && { settings: set }) });

  /** Refuses a version that could not be live: also one that has no settings yet and cannot do without. */
  async function loadAsLive(version: ScriptVersion): Promise<void> {
    await (await loadWith(version, (await storedSettings(version.script)) ?? {})).close();
  }

  async function play(version: ScriptVersion, cases: readonly ScriptCase[]): Promise<CaseResult[]> {
    const host = await loadWith(version, await storedSettings(version.script));
    const hostWith = (set: ScriptSettings) => loadWith(version, set);
    try {
      return await runCases({ host, hostWith, cases, deadlineMs: deadlineMs() });
    } finally {
      await host.close();
    }
  }

  /** The active version, or the latest where none is. */
  async function present(name: string): Promise<ScriptVersion> {
    return find(name, (await known(name)).activeVersion ?? undefined);
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

  async function withSettings(version: ScriptVersion, set: ScriptSettings | undefined): Promise<ListedSettings> {
    const { script: id } = version;
    const host = await loadWith(version, set);
    await host.close();
    const { settings: defaults } = host.facts;
    if (defaults === undefined && Object.keys(set ?? {}).length > 0) {
      throw new SallyportError("invalid-input", `the script ${id} has no settings; only TypeScript scripts do`);
    }
    return { id, defaults: defaults ?? {}, set: set ?? {}, inForce: { ...defaults, ...set } };
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
      await (await load({ name, text, language, thorough: true })).close();
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
      const outcome = await loaderFor(loaders, language)({ name, text, thorough: true });
      if ("fault" in outcome) return outcome;
      const { host, ...rest } = outcome;
      await host.close();
      return { facts: host.facts, ...rest };
    },

    list: () => scripts.list(),

    async versions(name) {
      const { activeVersion } = await known(name);
      return (await scripts.versions(name)).map((version) => listed(version, activeVersion));
    },

    text: find,

    async activate({ name, version: number, force = false }) {
      const version = await find(name, number);
      await loadAsLive(version);
      if (version.cases !== null && !force) refuseFailed(version, await play(version, readCases(version.cases)));
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
      await loadAsLive(version);
      return makeActive(version);
    },

    async remove(name) {
      await known(name);
      await scripts.remove(name);
      await settings.delete(settingsKey(name));
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
      return play(version, readCases(text));
    },

    async settings(name) {
      return withSettings(await present(name), await storedSettings(name));
    },

    async configure({ name, settings: text }) {
      const version = await present(name);
      const isLive = (await known(name)).activeVersion !== null;
      const listed = await withSettings(version, text === undefined && !isLive ? undefined : readSettings(text));
      const key = settingsKey(name);
      await (text === undefined ? settings.delete(key) : settings.set(key, JSON.stringify(listed.set)));
      await applied();
      return listed;
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
