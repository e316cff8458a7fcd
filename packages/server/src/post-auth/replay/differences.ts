import type { AttemptRecord, TraceEntry } from "../../core/attempt.ts";
import type { ErrorCode } from "../../core/errors.ts";
import { maskSecrets } from "../../core/properties.ts";
import type { AskedAttempt } from "../cases/record-case.ts";
import type { ChainOutcome } from "../chain.ts";

export type Outcome = { outcome: ChainOutcome["outcome"]; code: ErrorCode | null; reason: string };

const outcomes = { passed: "allow", skipped: "allow", denied: "deny", challenged: "challenge" } as const;

/** What the scripts decided then; what came after them may have decided otherwise. */
export function decidedBefore(attempt: AttemptRecord, { asked }: AskedAttempt): Outcome {
  const outcome = outcomes[asked.outcome];
  return { outcome, code: outcome === "deny" ? attempt.code : null, reason: asked.detail ?? attempt.reason };
}

/** In words; none where the same would be decided. Reasons alone make no difference. */
export function differencesOf(attempt: AttemptRecord, asked: AskedAttempt, now: ChainOutcome): string[] {
  const before = decidedBefore(attempt, asked);
  if (before.outcome !== now.outcome) return [`${wasWords[before.outcome]}, ${wouldWords(now)}`];
  if (now.outcome === "challenge") {
    const question = before.reason.replace(/^asked: /, "");
    return question === now.question?.text ? [] : [`would be asked ${JSON.stringify(now.question?.text)}`];
  }
  if (now.outcome === "deny") return [];
  const user = attempt.userId === null || attempt.userId === now.user ? [] : [`would be ${now.user}`];
  return [...user, ...propertyDifferences(asked, now)];
}

const wasWords = { allow: "was let in", deny: "was refused", challenge: "was asked a question" } as const;

function wouldWords({ outcome, code, reason, question }: ChainOutcome): string {
  if (outcome === "allow") return "would be let in";
  if (outcome === "challenge") return `would be asked ${JSON.stringify(question?.text)}`;
  return `would be refused (${code}): ${reason}`;
}

function propertyDifferences({ input, asked }: AskedAttempt, now: ChainOutcome): string[] {
  const given = input.authret.proplist;
  const returned = maskSecrets(now.properties);
  const then = asked.changes ?? {};
  const changedNow = Object.keys(returned).filter((key) => returned[key] !== given[key]);
  const keys = new Set([...changedNow, ...Object.keys(then).filter((key) => isTheScripts(key, then))]);
  return [...keys].sort().flatMap((key) => {
    const was = Object.hasOwn(then, key) ? (then[key]?.[1] ?? null) : (given[key] ?? null);
    const would = returned[key] ?? given[key] ?? null;
    return was === would || was === "[secret]" ? [] : [`${key}: ${shown(was)} -> ${shown(would)}`];
  });
}

/** Where the group changed, a property may have come from the new group instead of from the script. */
function isTheScripts(key: string, changes: NonNullable<TraceEntry["changes"]>): boolean {
  return /^(pvt|conn)_/.test(key) || !("conn_group" in changes || "conn_ip" in changes);
}

function shown(value: string | null): string {
  return value === null ? "(none)" : JSON.stringify(value);
}
