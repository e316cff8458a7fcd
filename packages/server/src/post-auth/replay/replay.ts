import type { AttemptRecord } from "../../core/attempt.ts";
import { SallyportError } from "../../core/errors.ts";
import type { ScriptHost } from "../../runner/runner.ts";
import type { AttemptStore, ScriptStore, ScriptVersion, SettingStore } from "../../store/store.ts";
import { askedOf } from "../cases/record-case.ts";
import { type ChainScript, runChain } from "../chain.ts";
import { describeFault } from "../fault-text.ts";
import { type Language, type Loaders, loaderFor } from "../loaders.ts";
import { readSettings, settingsKey } from "../script-settings.ts";
import { decidedBefore, differencesOf, type Outcome } from "./differences.ts";
import { obstacle, obstacleForAll } from "./obstacles.ts";

/** A stored version (the latest unless one is named), or a text to be tried in the place of a script. */
export type Draft =
  | { name: string; version?: number }
  /** Without a place: that of the only active script, or alone where none is active. */
  | { text: string; language: Language; inPlaceOf?: string };

export type ReplayedAttempt = {
  attemptId: string;
  at: string;
  userId: string | null;
  before: Outcome;
  after: Outcome;
  /** In words. */
  differences: string[];
};

export type ReplayReport = {
  since: string;
  /** The scripts that were asked, in order; the draft among them. */
  chain: string[];
  replayed: number;
  same: number;
  different: ReplayedAttempt[];
  /** By reason; a few of the attempts are named. */
  notReplayed: { reason: string; count: number; attempts: string[] }[];
};

/** Runs a draft over recorded attempts, newest first. Nothing is saved, and nobody is asked a question. */
export type Replay = (request: { draft: Draft; since: string; limit: number }) => Promise<ReplayReport>;

const mostNamed = 5;
/** The rest is counted as not replayed. */
const longestMs = 8 * 60_000;
const outOfTime = "there was no time left: choose a shorter span";

export function createReplay(options: {
  scripts: Pick<ScriptStore, "active" | "list" | "version">;
  settings: Pick<SettingStore, "get">;
  loaders: Loaders;
  attempts: Pick<AttemptStore, "flush" | "list">;
  /** For each script of the chain. */
  deadlineMs: () => number;
}): Replay {
  const { scripts, loaders, attempts } = options;

  const load = async (script: { name: string; text: string; language: Language }): Promise<ScriptHost> => {
    const { name, text, language } = script;
    const settings = readSettings(await options.settings.get(settingsKey(name)));
    const outcome = await loaderFor(loaders, language)({ name, text, settings });
    if ("host" in outcome) return outcome.host;
    throw new SallyportError("script-invalid", `the script ${name}: ${describeFault(outcome.fault)}`);
  };

  const storedDraft = async ({ name, version }: { name: string; version?: number }): Promise<ScriptVersion> => {
    const summary = (await scripts.list()).find(({ id }) => id === name);
    if (summary === undefined) throw new SallyportError("not-found", `there is no post-auth script ${name}`);
    const found = await scripts.version(name, version ?? summary.latestVersion);
    if (found !== undefined) return found;
    throw new SallyportError("not-found", `the post-auth script ${name} has no version ${version}`);
  };

  /** The active scripts with the draft in its place, or behind them. */
  const chainWith = async (draft: Draft): Promise<{ name: string; text: string; language: Language }[]> => {
    const active = (await scripts.active()).map(({ script: name, text, language }) => ({ name, text, language }));
    const place = "text" in draft ? (draft.inPlaceOf ?? onlyName(active)) : draft.name;
    const { text, language } = "text" in draft ? draft : await storedDraft(draft);
    const drafted = { name: place, text, language };
    if (!active.some(({ name }) => name === place)) return [...active, drafted];
    return active.map((one) => (one.name === place ? drafted : one));
  };

  return async ({ draft, since, limit }) => {
    await attempts.flush();
    const recorded = await attempts.list({ since, limit });
    const chain = await chainWith(draft);
    const hosts: ChainScript[] = [];
    try {
      for (const script of chain) hosts.push({ name: script.name, host: await load(script) });
      return await overAll({ recorded, chain: hosts, since, deadlineMs: options.deadlineMs() });
    } finally {
      await Promise.all(hosts.map(({ host }) => host.close()));
    }
  };
}

function onlyName(active: readonly { name: string }[]): string {
  const [first] = active;
  if (active.length <= 1) return first?.name ?? "draft";
  const names = active.map(({ name }) => name).join(", ");
  throw new SallyportError("invalid-input", `several scripts are active: say in whose place to try it (${names})`);
}

async function overAll(options: {
  recorded: readonly AttemptRecord[];
  chain: readonly ChainScript[];
  since: string;
  deadlineMs: number;
}): Promise<ReplayReport> {
  const { recorded, chain, since, deadlineMs } = options;
  const until = performance.now() + longestMs;
  const forAll = obstacleForAll(chain);
  const report: ReplayReport = {
    since,
    chain: chain.map(({ name }) => name),
    replayed: 0,
    same: 0,
    different: [],
    notReplayed: [],
  };
  for (const attempt of recorded) {
    const late = performance.now() > until ? outOfTime : undefined;
    const inTheWay = obstacle(attempt) ?? forAll ?? late;
    const replayed = inTheWay ?? (await replayOne(attempt, chain, deadlineMs));
    if (typeof replayed === "string") leaveOut(report, replayed, attempt);
    else {
      report.replayed += 1;
      if (replayed.differences.length === 0) report.same += 1;
      else report.different.push(replayed);
    }
  }
  return report;
}

/** A text says why it cannot be told how the attempt would be decided. */
async function replayOne(
  attempt: AttemptRecord,
  scripts: readonly ChainScript[],
  deadlineMs: number,
): Promise<ReplayedAttempt | string> {
  const asked = askedOf(attempt);
  if (asked === undefined) return "the scripts were not asked";
  let searched = false;
  const search = async () => {
    searched = true;
    throw new Error("there is no directory in a replay");
  };
  const hadDirectory = asked.input.info.user_dn !== undefined;
  // Given as the pipeline gives it under this chain's terms.
  const blank = scripts.some(({ host }) => host.facts.groupSelect);
  const { authret } = asked.input;
  const input = {
    ...asked.input,
    authret: { ...authret, proplist: blank ? {} : authret.proplist },
    ...(hadDirectory && { directory: { search, uname_attr: "uid" } }),
  };
  const outcome = await runChain({ scripts, input, deadlineMs });
  if (searched) return "it searched the directory, whose answers are not kept";
  if (outcome.code === "too-busy") return "the script took no more calls";
  const before = decidedBefore(attempt, asked);
  const after: Outcome = {
    outcome: outcome.outcome,
    code: outcome.code,
    reason: outcome.question?.text ?? outcome.reason,
  };
  const { id: attemptId, at, userId } = attempt;
  return { attemptId, at, userId, before, after, differences: differencesOf(attempt, asked, outcome) };
}

function leaveOut(report: ReplayReport, reason: string, { id }: AttemptRecord): void {
  let entry = report.notReplayed.find((one) => one.reason === reason);
  if (entry === undefined) {
    entry = { reason, count: 0, attempts: [] };
    report.notReplayed.push(entry);
  }
  entry.count += 1;
  if (entry.attempts.length < mostNamed) entry.attempts.push(id);
}
