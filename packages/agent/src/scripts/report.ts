import type { ClientScript, ScriptReport } from "@sallyport/protocol";
import type { ScriptOutcome } from "./run-script.ts";

const mostDetail = 1_000;

export function reportOf(
  script: ClientScript,
  outcome: Omit<ScriptOutcome, "outcome"> & Pick<ScriptReport, "outcome">,
): ScriptReport {
  const { name, event, privilege, sha256 } = script;
  return { name, event, privilege, sha256, ...outcome, detail: outcome.detail?.slice(0, mostDetail) ?? null };
}

export function refusalOf(script: ClientScript, reason: string): ScriptReport {
  return reportOf(script, {
    outcome: "refused",
    exitCode: null,
    signal: null,
    detail: reason,
    output: "",
    startedAt: new Date().toISOString(),
    durationMs: 0,
  });
}

/** One line for the person. */
export function wordsFor({ name, outcome, exitCode, signal, detail }: ScriptReport): string {
  if (outcome !== "ran") return `script ${name}: ${outcome === "refused" ? "not run" : outcome}: ${detail}`;
  if (signal !== null) return `script ${name}: ended by ${signal}`;
  return exitCode === 0 ? `script ${name}: done` : `script ${name}: exit status ${exitCode}`;
}
