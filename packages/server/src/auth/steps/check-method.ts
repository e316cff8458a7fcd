/** Guarantees: a backend accepted the credentials, or a script was told to decide alone. */
import type { AccountLookup } from "../../core/account.ts";
import { type AuthMethod, authMethods } from "../../core/credentials.ts";
import type { PostAuth } from "../../core/post-auth.ts";
import type { Properties } from "../../core/properties.ts";
import { Secret } from "../../core/secret.ts";
import { whyNoUserName } from "../../core/user-name.ts";
import type { ChallengeState, Method, MethodResult } from "../methods/method.ts";
import { denied, type Findings, passed, type Step, type StepOutcome } from "../step.ts";

const name = "check method";

export function checkMethod(options: {
  methods: readonly Method[];
  /** The setting `auth.module.type`; undefined means local. */
  defaultMethod: () => Promise<string | undefined>;
  accounts: Pick<AccountLookup, "resolve">;
  postAuth: Pick<PostAuth, "terms">;
}): Step {
  return {
    name,
    async run(findings) {
      const { credentials, request, answered } = findings;
      if (answered?.step === name) return await resumed(findings, answered);
      if (findings.resumedSession) {
        return passed("the session's token stands for them", { terms: await options.postAuth.terms() });
      }
      if (answered) return { outcome: "skipped", detail: "the credentials were accepted before the question was put" };
      if (findings.configKind === "auto-login") return await autologin(findings.configOwner, request.protocol);
      const username = credentials.username ?? (await nameForBrowser(findings));
      if (username === undefined) return denied("credentials-missing", "no user name or no password was sent");
      const terms = await options.postAuth.terms();
      const { properties } = await options.accounts.resolve(username);
      const wanted = await methodFor(properties);
      const password = credentials.password ?? (wanted === "saml" ? new Secret("") : undefined);
      if (password === undefined) return denied("credentials-missing", "no user name or no password was sent");
      if (terms.authNull || wanted === "pas_only") {
        if (!terms.loaded) return denied("script-missing", "pas_only: a script must decide, and none is active");
        const method: AuthMethod = "pas_only";
        const reason = terms.authNull ? "AUTH_NULL: the script decides alone" : "pas_only: the script decides alone";
        return passed(reason, { userId: username, method, methodReason: reason, terms });
      }
      const method = options.methods.find((one) => one.name === wanted);
      if (method === undefined) {
        const known = authMethods.some((one) => one === wanted) ? "is not set up here" : "is not known";
        return denied("no-auth-method", `the auth method ${JSON.stringify(wanted)} ${known}`, { userId: username });
      }
      const { clientAddress, hardwareAddress } = request;
      if (wanted === "saml" && !opensBrowsers(request)) {
        const why = "the client cannot open a browser for SAML: its IV_SSO has no webauth";
        return denied("challenge-unsupported", why, { userId: username, method: method.name });
      }
      const result = await method.check({ username, password, clientAddress, hardwareAddress });
      return outcomeOf(result, { userId: username, method: method.name, terms });
    },
  };

  async function methodFor(properties: Properties): Promise<string> {
    return properties.user_auth_type ?? (await options.defaultMethod()) ?? "local";
  }

  /** Where a browser tells who it is, a client that belongs to somebody need not name them. */
  async function nameForBrowser({ configOwner }: Findings): Promise<string | undefined> {
    if (configOwner === null) return undefined;
    const { properties } = await options.accounts.resolve(configOwner);
    return (await methodFor(properties)) === "saml" ? configOwner : undefined;
  }

  /** The certificate alone lets in whoever may have such a device; what is typed beside it is not looked at. */
  async function autologin(owner: string | null, protocol: "openvpn" | "wireguard" | null): Promise<StepOutcome> {
    if (owner === null) return denied("internal", "an auto-login client config belongs to nobody");
    const { properties } = await options.accounts.resolve(owner);
    // Nobody signs in to WireGuard: who gets a file for it may use it.
    const allowed = protocol === "wireguard" || properties.prop_autologin === "true";
    if (!allowed) {
      return denied("autologin-not-allowed", `prop_autologin is not true for ${owner}`, { userId: owner });
    }
    const what = protocol === "wireguard" ? "device's key" : "auto-login certificate";
    const reason = `the ${what} was accepted`;
    return passed(reason, {
      userId: owner,
      method: "autologin",
      methodReason: reason,
      terms: await options.postAuth.terms(),
    });
  }

  /** The method that asked goes on with the answer. */
  async function resumed(findings: Findings, answered: NonNullable<Findings["answered"]>): Promise<StepOutcome> {
    const method = options.methods.find((one) => one.name === findings.method);
    if (method?.resume === undefined) {
      return denied("no-auth-method", `the auth method ${findings.method} put a question and is not there any more`);
    }
    const result = await method.resume(answered.resume as ChallengeState, answered.response);
    return outcomeOf(result, { userId: findings.userId });
  }
}

function opensBrowsers({ clientInfo }: Findings["request"]): boolean {
  return (clientInfo.IV_SSO ?? "").split(",").includes("webauth");
}

function outcomeOf(result: MethodResult, found: Partial<Findings>): StepOutcome {
  switch (result.outcome) {
    case "wrong":
      return denied("wrong-credentials", result.reason, found);
    case "unreachable":
      return denied("method-unreachable", result.reason, found);
    case "challenged":
      return {
        outcome: "challenged",
        text: result.text,
        echo: result.echo,
        resume: result.state,
        ...(result.web && { web: result.web }),
        found,
      };
    case "accepted": {
      const { userId, reason, info, directory = null } = result;
      const wrongName = whyNoUserName(userId);
      if (wrongName !== undefined) {
        const named = JSON.stringify(userId.slice(0, 100));
        return denied("credentials-malformed", `${named}, which the auth method named, is no user's: ${wrongName}`);
      }
      return passed(reason, { ...found, userId, methodReason: reason, info, directory });
    }
  }
}
