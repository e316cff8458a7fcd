import type { PostAuthInput } from "../../core/post-auth.ts";
import type { ScriptHost } from "../../runner/runner.ts";
import { type ChainInput, type ChainOutcome, runChain } from "../chain.ts";
import type { ScriptCase } from "./case-file.ts";
import { type CaseResult, differences } from "./compare.ts";
import { fakeDirectory } from "./fake-directory.ts";

/** Plays cases to a script, one after the other, as the server would call it. */
export async function runCases(options: {
  host: ScriptHost;
  cases: readonly ScriptCase[];
  deadlineMs: number;
}): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const one of options.cases) results.push(await runCase(options.host, one, options.deadlineMs));
  return results;
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
