import type { Secret } from "../../core/secret.ts";
import type { Method } from "./method.ts";

/**
 * Local accounts, checked against their argon2id digest. An unknown name costs as much time as a wrong password and
 * reads the same, so that nobody can ask which names exist.
 */
export function localMethod(options: {
  passwordDigest: (userId: string) => Promise<string | null | undefined>;
  verify: (digest: string, password: Secret) => Promise<boolean>;
  /** Takes as long as a real check. */
  verifyNobody: (password: Secret) => Promise<void>;
}): Method {
  return {
    name: "local",
    async check({ username, password }) {
      const digest = await options.passwordDigest(username);
      if (!digest) {
        await options.verifyNobody(password);
        const why =
          digest === undefined ? "there is no local account of this name" : "the account has no local password";
        return { outcome: "wrong", reason: `local auth failed: ${why}` };
      }
      if (!(await options.verify(digest, password))) {
        return { outcome: "wrong", reason: "local auth failed: wrong password" };
      }
      return { outcome: "accepted", userId: username, reason: "local auth succeeded", info: {} };
    },
  };
}
