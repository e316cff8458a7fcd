/** Guarantees: nobody guesses passwords for long; and nobody is locked out for good, nor at the command line. */
import type { LockOut } from "../lock-out.ts";
import { denied, type Findings, passed, type Step, type StepOutcome } from "../step.ts";

export function checkLockOut(options: { lockOut: LockOut }): Step {
  return {
    name: "check lock-out",
    run: async (findings) => judge(options.lockOut, findings, findings.at.getTime()),
  };
}

/** Guarantees: of a hundred passwords tried at the same moment, one that comes after too many wrong ones is not heard. */
export function checkLockOutSince(options: { lockOut: LockOut }): Step {
  return {
    name: "check lock-out since",
    async run(findings) {
      const typed = findings.credentials.password !== undefined && findings.resumedSession === null;
      if (!typed) return { outcome: "skipped", detail: "nothing was typed that could be guessed" };
      return judge(options.lockOut, findings, Date.now());
    },
  };
}

function judge(lockOut: LockOut, { request, credentials, userId }: Findings, at: number): StepOutcome {
  const user = credentials.username ?? userId;
  if (request.kind === "authcli" || user === null) return { outcome: "skipped", detail: "nobody is locked out here" };
  const lock = lockOut.locked({ userId: user, address: request.clientAddress }, at);
  if (lock === undefined) return passed("not locked out");
  const reason = `too many wrong credentials: ${lock.what} is locked out until ${lock.until.toISOString()}`;
  return denied("locked-out", reason, { userId: user });
}
