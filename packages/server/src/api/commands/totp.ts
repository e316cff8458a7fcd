import { z } from "zod";
import { enrolmentOf, enrolmentUri, newTotpSecret, totpProperties } from "../../auth/totp.ts";
import type { AccountLookup } from "../../core/account.ts";
import { SallyportError } from "../../core/errors.ts";
import type { AccountStore } from "../../store/store.ts";
import { type CommandTable, command } from "../command.ts";
import { name } from "../input.ts";

export type TotpEnrolment = {
  id: string;
  /** Base32, for whoever cannot scan; shown this once. */
  secret: string;
  /** `otpauth://…`, what authenticator apps scan. */
  uri: string;
  /** Whether a code is asked for at the user's next sign-in. */
  asked: boolean;
};

/** Authenticator apps of users, also of a directory's, who have no account here. */
export function totpCommands(deps: {
  accounts: Pick<AccountStore, "properties" | "setProperties" | "deleteProperty">;
  lookup: Pick<AccountLookup, "resolve">;
  /** The setting `vpn.server.google_auth.enable`. */
  usually: () => Promise<string | undefined>;
  /** How apps name this server beside the user. */
  issuer: () => string;
}): CommandTable {
  const { accounts } = deps;
  const byName = z.strictObject({ name });
  const forget = async (userId: string): Promise<boolean> => {
    const owner = { kind: "user", name: userId } as const;
    const gone: boolean[] = [];
    for (const key of Object.values(totpProperties)) gone.push(await accounts.deleteProperty(owner, key));
    return gone.includes(true);
  };
  return {
    "totp-enrol": command({
      summary: "Makes a secret for a user's authenticator app.",
      input: byName,
      run: async ({ name: userId }): Promise<TotpEnrolment> => {
        const owner = { kind: "user", name: userId } as const;
        if ("secret" in enrolmentOf(await accounts.properties(owner))) {
          const next = `\`sallyport totp reset\` takes it away first`;
          throw new SallyportError("already-exists", `${userId} has an authenticator enrolled; ${next}`);
        }
        await forget(userId);
        const secret = newTotpSecret();
        await accounts.setProperties(owner, { [totpProperties.secret]: secret, [totpProperties.locked]: "true" });
        const { properties } = await deps.lookup.resolve(userId);
        const wanted = properties.prop_google_auth ?? (await deps.usually()) ?? "false";
        const uri = enrolmentUri({ issuer: deps.issuer(), userId, secret });
        return { id: userId, secret, uri, asked: wanted !== "false" };
      },
    }),
    "totp-reset": command({
      summary: "Forgets a user's authenticator app: no code is right until another is enrolled.",
      input: byName,
      run: async ({ name: userId }) => {
        if (!(await forget(userId))) {
          throw new SallyportError("not-found", `${JSON.stringify(userId)} has no authenticator enrolled`);
        }
        return { id: userId };
      },
    }),
  };
}
