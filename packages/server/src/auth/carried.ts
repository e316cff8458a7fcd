import type { PendingChallenge } from "../store/store.ts";
import type { Findings } from "./step.ts";

/** What a question keeps of its attempt, so that the round with the answer does not begin anew. Scripts may keep secrets. */
type Carried = {
  step: string;
  resume: unknown;
  found: Pick<
    Findings,
    "userId" | "method" | "methodReason" | "info" | "terms" | "questions" | "totpAccepted" | "states" | "resumedSession"
  >;
};

export function carry(step: string, resume: unknown, findings: Findings): PendingChallenge["carried"] {
  const { userId, method, methodReason, info, terms, totpAccepted, states, resumedSession } = findings;
  const questions = findings.questions + 1;
  const found = { userId, method, methodReason, info, terms, questions, totpAccepted, states, resumedSession };
  return { step, resume, found } satisfies Carried;
}

/** Only the pipeline writes these, through `carry`. */
export function carriedFindings(carried: PendingChallenge["carried"]): Carried {
  return carried as Carried;
}
