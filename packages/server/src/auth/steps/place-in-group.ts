/** Guarantees: whoever the scripts named may come in, and the group whose addresses and rules apply exists. */
import type { AccountLookup } from "../../core/account.ts";
import { whyNoUserName } from "../../core/user-name.ts";
import { denied, passed, type Step } from "../step.ts";

export function placeInGroup(options: { accounts: AccountLookup }): Step {
  return {
    name: "place in group",
    async run({ userId, properties }) {
      if (userId === null) return denied("internal", "nobody is named");
      const wrongName = whyNoUserName(userId);
      if (wrongName !== undefined) {
        const named = JSON.stringify(userId.slice(0, 100));
        return denied("script-bad-result", `${named} cannot name a user: ${wrongName}`, { userId: null });
      }
      const { user } = await options.accounts.resolve(userId);
      if (user?.disabled) return denied("account-disabled", `the account ${userId} is disabled`);
      if (properties.prop_deny === "true") return denied("access-denied", `prop_deny is true for ${userId}`);
      const name = properties.conn_group;
      if (name === undefined) return passed("no group");
      const group = await options.accounts.group(name);
      if (group === undefined)
        return denied("group-unknown", `conn_group is ${JSON.stringify(name)}, which is no group`);
      return passed(`group ${name}`, { group });
    },
  };
}
