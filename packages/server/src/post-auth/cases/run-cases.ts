import { SallyportError } from "../../core/errors.ts";
import type { PostAuthInput } from "../../core/post-auth.ts";
import type { ScriptHost } from "../../runner/runner.ts";
import { type ChainInput, type ChainOutcome, runChain } from "../chain.ts";
import type { ScriptCase } from "./case-file.ts";
import { type CaseResult, differences } from "./compare.ts";
import { fakeDirectory } from "./fake-directory.ts";

type RunOptions = {
  host: ScriptHost;
  /** Loads the script with other settings, for the cases that have their own. */
  hostWith?: (settings: Record<string, unknown>) => Promise<ScriptHost>;
  cases: readonly ScriptCase[];
  deadlineMs: number;
};

/** Plays cases to a script, one after the other, as the server would call it. */
export async function runCases({ host, hostWith, cases, deadlineMs }: RunOptions): Promise<CaseResult[]> {
  const others = new Map<string, ScriptHost>();
  const hostFor = async ({ name, settings }: ScriptCase): Promise<ScriptHost> => {
    if (settings === undefined) return host;
    if (hostWith === undefined) {
      throw new SallyportError(
        "invalid-input",
        `the case ${JSON.stringify(name)} has settings, which have no effect here`,
      );
    }
    const key = JSON.stringify(settings);
    const other = others.get(key) ?? (await hostWith(settings));
    others.set(key, other);
    return other;
  };
  try {
    const results: CaseResult[] = [];
    for (const one of cases) results.push(await runCase(await hostFor(one), one, deadlineMs));
    return results;
  } finally {
    await Promise.all([...others.values()].map((other) => other.close()));
  }
}

async function runCase(host: ScriptHost, one: ScriptCase, deadlineMs: number): Promise<CaseResult> {
  const started = performance.now();
  const search = one.ldap && fakeDirectory(one.ldap);
  const input: PostAuthInput = search ? { ...one.input, directory: { search, uname_attr: one.uname_attr } } : one.input;
  const scripts = [{ name: "script", host }];
  const challenges: CaseResult["challenges"] = [];
  const responses = [...one.responses];
  let printed = "";
  let answer: ChainInput["answer"];
  for (;;) {
    const outcome = await runChain({ scripts, input, deadlineMs, ...(answer && { answer }) });
    printed += outcome.printed;
    const { question } = outcome;
    if (question !== null) challenges.push({ text: question.text, echo: question.echo });
    const response = question && responses.shift();
    if (question === null || response === undefined || response === null) {
      return finish(one, { outcome, challenges, printed, durationMs: performance.now() - started });
    }
    answer = { resume: question.resume, response };
  }
}

function finish(
  one: ScriptCase,
  {
    outcome,
    challenges,
    printed,
    durationMs,
  }: {
    outcome: ChainOutcome;
    challenges: CaseResult["challenges"];
    printed: string;
    durationMs: number;
  },
): CaseResult {
  const decidedByScript = outcome.code === null || outcome.code === "script-denied";
  const problems = [...(decidedByScript ? [] : [outcome.traceback ?? outcome.reason]), ...outcome.warnings];
  const result = {
    name: one.name,
    status: outcome.outcome === "allow" ? (0 as const) : (1 as const),
    user: outcome.user,
    reason: outcome.reason,
    client_reason: outcome.clientReason,
    proplist: outcome.properties,
    proplist_save: outcome.save,
    challenges,
    printed,
    error: problems.length > 0 ? problems.join("\n") : null,
    duration_ms: Math.round(durationMs * 100) / 100,
  };
  const found = one.expect === undefined ? [] : differences(result, one.expect);
  return { ...result, passed: one.expect === undefined ? null : found.length === 0, differences: found };
}
