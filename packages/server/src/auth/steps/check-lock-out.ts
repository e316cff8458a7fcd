/** Guarantees: nobody guesses passwords for long; and nobody is locked out for good, nor at the command line. */
import type { LockOut } from "../lock-out.ts";
import { denied, passed, type Step } from "../step.ts";

export function checkLockOut(options: { lockOut: LockOut }): Step {
  return {
    name: "check lock-out",
    async run({ request, credentials, userId, at }) {
      const user = credentials.username ?? userId;
      if (request.kind === "authcli" || user === null)
        return { outcome: "skipped", detail: "nobody is locked out here" };
      const lock = options.lockOut.locked({ userId: user, address: request.clientAddress }, at.getTime());
      if (lock === undefined) return passed("not locked out");
      const reason = `too many wrong credentials: ${lock.what} is locked out until ${lock.until.toISOString()}`;
      return denied("locked-out", reason, { userId: user });
    },
  };
}
