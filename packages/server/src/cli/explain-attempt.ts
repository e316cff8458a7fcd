import type { CodeWords } from "../api/code-words.ts";
import type { AttemptExplained } from "../api/commands/attempts.ts";
import type { TraceEntry } from "../core/attempt.ts";
import { localTime, visible, visibleLines } from "./for-people.ts";

/** A decision in plain words: who asked for what, what was decided and why, each step, and what to do next. */
export function explainAttempt(attempt: AttemptExplained): string {
  const { explanation } = attempt;
  const lines = [`${whoAsked(attempt)} ${whatWasDecided(attempt)}.`, ""];
  if (explanation !== null) {
    lines.push(`Why:         ${explanation.meaning} (${explanation.code})`);
    lines.push(`Kind:        ${kindText(explanation.kind)}`);
  }
  lines.push(`Reason:      ${visible(attempt.reason)}`);
  if (attempt.clientReason !== null) lines.push(`They read:   ${visible(attempt.clientReason)}`);
  if (attempt.authMethod !== null) lines.push(`Auth method: ${attempt.authMethod}`);
  if (attempt.connection !== null) lines.push(`Connection:  ${whatBecame(attempt.connection)}`);
  lines.push(`Took:        ${milliseconds(attempt.durationMs)}`, `Attempt:     ${visible(attempt.id)}`, "", "Steps:");
  const longest = Math.max(0, ...attempt.trace.map((entry) => entry.step.length));
  for (const entry of attempt.trace) lines.push(...stepLines(entry, longest));
  if (explanation !== null) lines.push("", `Next: ${explanation.next}`);
  return `${lines.join("\n")}\n`;
}

/** What an error code means, whoever met it. */
export function explainCode(words: CodeWords): string {
  const lines = [`${words.code}: ${words.meaning}`, `  Who must act: ${whoMustAct[words.kind] ?? words.kind}.`];
  if (words.clientReason !== null) lines.push(`  A refused person reads: ${words.clientReason}`);
  lines.push(`  HTTP status: ${words.httpStatus}.`, `  Next: ${words.next}`);
  return `${lines.join("\n")}\n`;
}

const whoMustAct: Readonly<Record<string, string>> = {
  user: "the person who signs in",
  policy: "an administrator, if the rule is not as it should be",
  outage: "an administrator: something is broken",
  usage: "whoever typed the command",
};

/** Whether a rule, the person or a failure is the cause. */
function kindText(kind: string): string {
  const act = whoMustAct[kind];
  return act === undefined ? kind : `${kind} (${act})`;
}

const outcomeWords = {
  allow: "was let in",
  deny: "was refused",
  challenge: "was asked a question",
} as const;

const kindWords = {
  connect: "asked to connect",
  reauth: "was asked again for credentials",
  authcli: "was tried on the command line",
} as const;

function whoAsked(attempt: AttemptExplained): string {
  const who = attempt.userId === null ? "Somebody without a name" : visible(attempt.userId);
  const where = attempt.profileId === null ? "" : ` to profile ${visible(attempt.profileId)}`;
  const from = attempt.clientAddress === null ? "" : ` from ${visible(attempt.clientAddress)}`;
  return `${localTime(attempt.at)}: ${who} ${kindWords[attempt.kind]}${where}${from} and`;
}

function whatWasDecided({ outcome, connection }: AttemptExplained): string {
  if (connection?.endReason === "rejected") return "passed the sign-in, but was refused afterwards";
  return outcomeWords[outcome];
}

function whatBecame({ id, state, endReason, endDetail }: NonNullable<AttemptExplained["connection"]>): string {
  const detail = endDetail === null ? "" : `: ${visible(endDetail)}`;
  const see = `see \`sallyport connection show ${visible(id)}\``;
  if (endReason === "rejected") return `refused after the sign-in${detail}; ${see}`;
  return `${endReason === null ? state : `ended (${endReason}${detail})`}; ${see}`;
}

function stepLines(entry: TraceEntry, longest: number): string[] {
  const by = entry.by === undefined ? "" : ` by ${visible(entry.by)}`;
  const detail = entry.detail === null ? "" : `: ${visible(entry.detail)}`;
  const lines = [
    `  ${visible(entry.step).padEnd(longest)}  ${milliseconds(entry.durationMs).padStart(9)}  ${entry.outcome}${by}${detail}`,
  ];
  const below = " ".repeat(4);
  for (const warning of entry.warnings ?? []) lines.push(`${below}warning: ${visible(warning)}`);
  for (const [key, [before, after]] of Object.entries(entry.changes ?? {})) {
    lines.push(`${below}${visible(key)}: ${valueWords(before)} -> ${valueWords(after)}`);
  }
  if (entry.printed) lines.push(`${below}printed:`, ...block(entry.printed));
  if (entry.traceback) lines.push(...block(entry.traceback));
  return lines;
}

function valueWords(value: string | null): string {
  return value === null ? "(none)" : JSON.stringify(visible(value));
}

function block(text: string): string[] {
  return visibleLines(text.trimEnd())
    .split("\n")
    .map((line) => `      ${line}`);
}

function milliseconds(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}
