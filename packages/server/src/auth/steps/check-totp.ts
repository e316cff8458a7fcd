/** Guarantees: where an authenticator's code is asked for, the right one was given, and no code lets anybody in twice. */
import type { Secret } from "../../core/secret.ts";
import type { AccountStore } from "../../store/store.ts";
import { denied, passed, type Step, type StepOutcome } from "../step.ts";
import { clockHint, enrolmentOf, matchTotp, readTotpCode, totpProperties, whyUsed } from "../totp.ts";

const name = "check totp";
/** Sign-ins of one user that use codes at the same moment; each that comes second tries again. */
const mostTries = 5;

export function checkTotp(options: {
  accounts: Pick<AccountStore, "properties" | "swapProperty">;
  /** The setting `vpn.server.google_auth.enable`, for those for whom `prop_google_auth` is not set. */
  usually: () => Promise<string | undefined>;
}): Step {
  const { accounts } = options;
  return {
    name,
    async run({ userId, method, properties, totpAccepted, answered, credentials, at }) {
      if (userId === null) return denied("internal", "nobody is named");
      if (method === "session" || method === "autologin") {
        return { outcome: "skipped", detail: `not asked for: signed in by ${method}` };
      }
      const wanted = properties.prop_google_auth ?? (await options.usually());
      if (wanted === undefined || wanted === "false") return { outcome: "skipped", detail: "not asked for" };
      if (totpAccepted) return { outcome: "skipped", detail: "the code was accepted before a later question was put" };
      const response = answered?.step === name ? answered.response : credentials.staticResponse;
      if (response !== undefined) return await check(userId, response, at);
      const enrolment = enrolmentOf(await accounts.properties({ kind: "user", name: userId }));
      if ("missing" in enrolment) return notEnrolled(userId, enrolment.missing);
      return { outcome: "challenged", text: "Enter Authenticator Code", echo: true, resume: null };
    },
  };

  async function check(userId: string, response: Secret, at: Date): Promise<StepOutcome> {
    const owner = { kind: "user", name: userId } as const;
    const code = readTotpCode(response.reveal());
    for (let tries = 0; tries < mostTries; tries += 1) {
      const own = await accounts.properties(owner);
      const enrolment = enrolmentOf(own);
      if ("missing" in enrolment) return notEnrolled(userId, enrolment.missing);
      if (code === undefined) return denied("totp-wrong", "what was given is not six digits");
      const match = await matchTotp({ secret: enrolment.secret, code, at });
      if (!match.matches) return denied("totp-wrong", clockHint(match.offSteps));
      const last = own[totpProperties.lastStep];
      if (last !== undefined && !(match.step > Number(last))) return denied("totp-used", whyUsed(match.step, last));
      const swap = { key: totpProperties.lastStep, from: last ?? null, to: String(match.step) };
      if (await accounts.swapProperty(owner, swap)) return passed("the code is right", { totpAccepted: true });
    }
    return denied("totp-used", "other sign-ins of this user used codes at the same moment");
  }
}

function notEnrolled(userId: string, why: string): StepOutcome {
  return denied("totp-not-enrolled", `${why} for ${userId}: run \`sallyport totp enrol ${userId}\``);
}
