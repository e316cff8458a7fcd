/** Guarantees: the account may be used, and its properties are known. */
import type { AccountLookup } from "../../core/account.ts";
import { denied, passed, type Step } from "../step.ts";

export function checkAccount(options: { accounts: Pick<AccountLookup, "resolve"> }): Step {
  return {
    name: "check account",
    async run({ userId, configOwner }) {
      if (userId === null) return denied("credentials-missing", "nobody is named");
      if (configOwner !== null && configOwner !== userId) {
        return denied("certificate-other-user", `the client config belongs to ${configOwner}, ${userId} signed in`);
      }
      const { user, properties } = await options.accounts.resolve(userId);
      if (user?.disabled) return denied("account-disabled", `the account ${userId} is disabled`);
      if (properties.prop_deny === "true") return denied("access-denied", `prop_deny is true for ${userId}`);
      return passed(user ? "the account may be used" : "no local account; the defaults apply", { properties });
    },
  };
}
