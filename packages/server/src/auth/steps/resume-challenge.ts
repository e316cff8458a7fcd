/** Guarantees: an answer belongs to a question that was put to this user on this device, is in time, and is used once. */
import type { ChallengeStore } from "../../store/store.ts";
import { carriedFindings } from "../carried.ts";
import { denied, passed, type Step } from "../step.ts";

export function resumeChallenge(options: { challenges: Pick<ChallengeStore, "take"> }): Step {
  return {
    name: "resume challenge",
    async run({ credentials, userId, request, at }) {
      const { challenge } = credentials;
      if (challenge === undefined) return { outcome: "skipped", detail: "no question is answered" };
      const pending = await options.challenges.take(challenge.stateId, at.toISOString());
      if (pending === undefined) {
        return denied("challenge-stale", "the answer is to a question that is not known, was answered or has expired");
      }
      const serial = request.certificate?.serial ?? null;
      const sameDevice = pending.profileId === request.profileId && pending.serial === serial;
      if (pending.userId !== (credentials.username ?? userId) || !sameDevice) {
        return denied("challenge-stale", `the question was put to ${pending.userId} on another device or profile`);
      }
      const { step, resume, found } = carriedFindings(pending.carried);
      return passed(`the answer to a question of: ${step}`, {
        ...found,
        answered: { step, resume, response: challenge.response },
      });
    },
  };
}
