/** Guarantees: the administrator's scripts, if any are active, said yes, and what they changed is in force. */
import type { AccountLookup } from "../../core/account.ts";
import type { PostAuth, PostAuthInput } from "../../core/post-auth.ts";
import { forScripts, maskSecrets, type Properties } from "../../core/properties.ts";
import { denied, type Findings, type Step } from "../step.ts";

const name = "post-auth";

export function runPostAuth(options: { postAuth: PostAuth; accounts: Pick<AccountLookup, "resolve"> }): Step {
  /**
   * The lookup that follows the scripts, in the group that they, or the address they gave, chose. What they asked to
   * save counts at once where a script asked for that order (GROUP_SELECT), otherwise from the next attempt on.
   */
  const lookUpAgain = async (user: string, changed: Properties, save: Properties, groupSelect: boolean) => {
    const placing = Object.entries(changed).filter(([key]) => key === "conn_group" || key === "conn_ip");
    const overlay = { ...(groupSelect && save), ...Object.fromEntries(placing) };
    return (await options.accounts.resolve(user, overlay)).properties;
  };
  return {
    name,
    async run(findings) {
      const { terms, userId, properties } = findings;
      if (!terms.loaded) return { outcome: "skipped", detail: "no post-auth script is active" };
      if (userId === null) return denied("internal", "post-auth was reached with nobody named");
      const input = scriptInput(findings, userId);
      const { answered, states } = findings;
      const answer = answered?.step === name ? { resume: answered.resume, response: answered.response } : undefined;
      const verdict = await options.postAuth.decide(input, { terms, states, ...(answer && { answer }) });
      const told = {
        ...(verdict.by !== null && { by: verdict.by }),
        warnings: verdict.warnings,
        printed: verdict.printed || null,
        traceback: verdict.traceback,
      };
      const recorded = recordable(input);
      if (verdict.outcome === "challenge") {
        if (verdict.question === null) return denied("internal", "the scripts asked, and no question came");
        return {
          outcome: "challenged",
          ...verdict.question,
          found: { scriptInput: recorded, states: verdict.states },
          ...told,
        };
      }
      if (verdict.outcome === "deny") {
        return {
          outcome: "denied",
          code: verdict.code ?? "script-denied",
          reason: verdict.reason,
          clientReason: verdict.clientReason,
          found: { scriptInput: recorded },
          ...told,
        };
      }
      const changed = differing(verdict.properties, input.authret.proplist);
      const after = { ...(await lookUpAgain(verdict.user, changed, verdict.save, terms.groupSelect)), ...changed };
      return {
        outcome: "passed",
        detail: verdict.reason || "the script said yes",
        found: {
          userId: verdict.user,
          methodReason: verdict.reason || findings.methodReason,
          properties: after,
          save: verdict.save,
          states: verdict.states,
          scriptInput: recorded,
        },
        changes: changesBetween(maskSecrets(properties), maskSecrets(after)),
        ...told,
      };
    },
  };
}

function scriptInput(
  { request, credentials, properties, terms, method, methodReason, info, directory }: Findings,
  userId: string,
): PostAuthInput {
  const vpn = request.kind !== "authcli";
  return {
    authcred: {
      username: userId,
      client_ip_addr: request.clientAddress,
      ...(request.hardwareAddress !== undefined && { client_hw_addr: request.hardwareAddress }),
      ...(credentials.staticResponse && { static_response: credentials.staticResponse }),
      ...(credentials.password && { password: credentials.password }),
    },
    attributes: {
      vpn_auth: vpn,
      ...(vpn && {
        reauth: request.kind === "reauth",
        client_info: { ...request.clientInfo },
        auth_parms: { ...request.certificateFields },
      }),
    },
    authret: {
      status: 0,
      user: userId,
      reason: methodReason,
      proplist: terms.groupSelect ? {} : forScripts(properties),
    },
    info: { auth_method: method ?? "local", ...info },
    ...(directory && { directory }),
  };
}

/** The input as the attempt keeps it: everything but the secrets. */
function recordable({ authcred, directory: _directory, ...rest }: PostAuthInput): Record<string, unknown> {
  const { password: _password, static_response: _response, ...credentials } = authcred;
  const { authret } = rest;
  return { authcred: credentials, ...rest, authret: { ...authret, proplist: maskSecrets(authret.proplist) } };
}

/** What a script returned otherwise than it was given: only that overrides the database for this session. */
function differing(returned: Properties, given: Properties): Properties {
  return Object.fromEntries(Object.entries(returned).filter(([key, value]) => given[key] !== value));
}

function changesBetween(before: Properties, after: Properties): Record<string, [string | null, string | null]> | null {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  const changed = [...keys].filter((key) => before[key] !== after[key]);
  if (changed.length === 0) return null;
  const [shownBefore, shownAfter] = [maskSecrets(before), maskSecrets(after)];
  return Object.fromEntries(changed.map((key) => [key, [shownBefore[key] ?? null, shownAfter[key] ?? null]]));
}
