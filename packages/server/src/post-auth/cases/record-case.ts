import type { AttemptRecord, TraceEntry } from "../../core/attempt.ts";
import { SallyportError } from "../../core/errors.ts";
import type { PostAuthInput } from "../../core/post-auth.ts";
import { deniedWithoutReason } from "../chain.ts";
import type { Expectation } from "./case-file.ts";

/** A case as a file of cases has it, and what its author should know of it. */
export type RecordedCase = {
  case: { name: string } & Omit<PostAuthInput, "directory"> & { expect: Expectation };
  notes: string[];
};

/** What is known of an attempt in which the scripts were asked. */
export type AskedAttempt = { input: Omit<PostAuthInput, "directory">; asked: TraceEntry };

/** The pipeline's name of the step that asks them. */
const scriptStep = "post-auth";

/** Undefined where the scripts were not asked. */
export function askedOf(attempt: AttemptRecord): AskedAttempt | undefined {
  const asked = attempt.trace.find(({ step, outcome }) => step === scriptStep && outcome !== "skipped");
  if (asked === undefined || attempt.scriptInput === null) return undefined;
  return { input: attempt.scriptInput as AskedAttempt["input"], asked };
}

/** Whether a question of the scripts was answered in it: the answer is a secret, and kept nowhere. */
export function wasAnswered(attempt: AttemptRecord): boolean {
  return attempt.trace.some(
    ({ step, outcome, detail }) =>
      step === "resume challenge" && outcome === "passed" && detail?.endsWith(`: ${scriptStep}`) === true,
  );
}

/** Makes a case of a real attempt. Its secrets were never recorded. Errors: `conflict` where no script was asked. */
export function recordCase(attempt: AttemptRecord): RecordedCase {
  const asked = askedOf(attempt);
  if (asked === undefined) {
    throw new SallyportError(
      "conflict",
      `no post-auth script was asked in the attempt ${attempt.id}: there is no case`,
    );
  }
  const { authcred, attributes, authret, info } = asked.input;
  const kept = Object.entries(authret.proplist).filter(([, value]) => value !== "[secret]");
  const notes = ["Passwords, static responses and answers are not recorded: add those that the script reads."];
  if (kept.length < Object.keys(authret.proplist).length) notes.push("Properties that hold secrets were left out.");
  if (wasAnswered(attempt)) notes.push("A question was answered: add the answer under responses.");
  if (info.user_dn !== undefined) notes.push("What the directory answers is not recorded: add entries under ldap.");
  return {
    case: {
      name: `${attempt.userId ?? "somebody"} at ${attempt.at}`,
      authcred,
      attributes,
      authret: { ...authret, proplist: Object.fromEntries(kept) },
      info,
      expect: expectationOf(attempt, asked.asked),
    },
    notes,
  };
}

/** Only what the script alone decided: other properties may come from the group that it chose. */
function expectationOf(attempt: AttemptRecord, asked: TraceEntry): Expectation {
  if (asked.outcome === "challenged") return { status: 1, challenges: [(asked.detail ?? "").replace(/^asked: /, "")] };
  if (asked.outcome === "denied") {
    const reason = asked.detail ?? attempt.reason;
    // A reason that is not the script's own, or not as the script gave it, would be another when the case is run.
    const own =
      attempt.code === "script-denied" && !reason.startsWith(deniedWithoutReason) && !reason.includes("[secret]");
    return { status: 1, ...(own && { reason }) };
  }
  const placed = Object.entries(asked.changes ?? {}).filter(([key]) => key === "conn_group" || key === "conn_ip");
  if (placed.length === 0) return { status: 0 };
  return { status: 0, proplist: Object.fromEntries(placed.map(([key, [, after]]) => [key, after])) };
}
