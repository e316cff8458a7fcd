/** Guarantees: a backend accepted the credentials, or a script was told to decide alone. */
import type { AccountLookup } from "../../core/account.ts";
import { type AuthMethod, authMethods } from "../../core/credentials.ts";
import type { PostAuth } from "../../core/post-auth.ts";
import type { Method } from "../methods/method.ts";
import { denied, passed, type Step } from "../step.ts";

export function checkMethod(options: {
  methods: readonly Method[];
  /** The setting `auth.module.type`; undefined means local. */
  defaultMethod: () => Promise<string | undefined>;
  accounts: Pick<AccountLookup, "resolve">;
  postAuth: Pick<PostAuth, "terms">;
}): Step {
  return {
    name: "check method",
    async run({ credentials, request }) {
      const { username, password } = credentials;
      if (credentials.challenge) {
        return denied("challenge-unsupported", "an answer came to a challenge that was never put");
      }
      if (username === undefined || password === undefined) {
        return denied("credentials-missing", "no user name or no password was sent");
      }
      const terms = await options.postAuth.terms();
      const { properties } = await options.accounts.resolve(username);
      const name = properties.user_auth_type ?? (await options.defaultMethod()) ?? "local";
      if (terms.authNull || name === "pas_only") {
        if (!terms.loaded) return denied("script-missing", "pas_only: a script must decide, and none is active");
        const method: AuthMethod = "pas_only";
        const reason = terms.authNull ? "AUTH_NULL: the script decides alone" : "pas_only: the script decides alone";
        return passed(reason, { userId: username, method, methodReason: reason, terms });
      }
      const method = options.methods.find((one) => one.name === name);
      if (method === undefined) {
        const known = authMethods.some((one) => one === name) ? "is not set up here" : "is not known";
        return denied("no-auth-method", `the auth method ${JSON.stringify(name)} ${known}`, { userId: username });
      }
      const { clientAddress, hardwareAddress } = request;
      const result = await method.check({ username, password, clientAddress, hardwareAddress });
      const found = { userId: username, method: method.name, terms };
      if (result.outcome === "wrong") return denied("wrong-credentials", result.reason, found);
      if (result.outcome === "unreachable") return denied("method-unreachable", result.reason, found);
      if (result.outcome === "challenged") {
        return denied("challenge-unsupported", `${method.name} asks ${JSON.stringify(result.text)}`, found);
      }
      return passed(result.reason, { ...found, userId: result.userId, methodReason: result.reason, info: result.info });
    },
  };
}
