import type { ErrorCode } from "../core/errors.ts";
import type { PostAuthInput } from "../core/post-auth.ts";
import type { Properties } from "../core/properties.ts";
import type { ScriptCall, ScriptHost, ScriptReturn } from "../runner/runner.ts";
import { type Judged, judgeResult, type Standing } from "./result-rules.ts";

export type ChainScript = { name: string; host: ScriptHost };

/** What the scripts before decided, and what they left for those that follow. */
type SoFar = Standing & { save: Properties; extra: Record<string, unknown> };

/**
 * A question that a script put to the user. With the answer the chain goes on at that script: those before it have
 * decided already. `resume` is plain JSON, to be kept as it is.
 */
export type ChainQuestion = {
  text: string;
  echo: boolean;
  resume: { script: string; crstate: string | null; soFar: SoFar };
};

export type ChainInput = {
  scripts: readonly ChainScript[];
  input: PostAuthInput;
  /** For each script. */
  deadlineMs: number;
  /** `authret.state` of earlier calls in the same VPN session, by script. */
  states?: Readonly<Record<string, string>>;
  /** Where a question was answered. */
  answer?: { resume: ChainQuestion["resume"]; response: string };
};

export type ChainOutcome = {
  outcome: "allow" | "deny" | "challenge";
  /** The script that denied or asked; null where all allowed. */
  by: string | null;
  user: string;
  code: ErrorCode | null;
  reason: string;
  clientReason: string | null;
  properties: Properties;
  save: Properties;
  question: ChainQuestion | null;
  states: Record<string, string>;
  printed: string;
  traceback: string | null;
  warnings: string[];
};

/** What stands, followed by the script's name, as the reason where a script denied without giving one. */
export const deniedWithoutReason = "denied by the post-auth script";

/** Asks the scripts in order; each sees what the one before decided, and the first that does not allow ends it. */
export async function runChain(chain: ChainInput): Promise<ChainOutcome> {
  const { scripts, input, answer } = chain;
  const { user, reason, proplist } = input.authret;
  let soFar: SoFar = answer?.resume.soFar ?? { user, reason, properties: proplist, save: {}, extra: {} };
  const told = { printed: "", warnings: [] as string[] };
  const states = { ...chain.states };
  let clientReason: string | null = null;
  const end = (end: Pick<ChainOutcome, "outcome"> & Partial<ChainOutcome>): ChainOutcome => {
    const standing = { user: soFar.user, reason: soFar.reason, properties: soFar.properties };
    const nothing = { by: null, code: null, clientReason: null, question: null, traceback: null, save: {} };
    return { ...standing, ...nothing, ...told, states, ...end };
  };

  const first = answer ? scripts.findIndex(({ name }) => name === answer.resume.script) : 0;
  if (first < 0) {
    const gone = `the post-auth script ${answer?.resume.script} that asked is not active any more`;
    return end({ outcome: "deny", code: "challenge-unsupported", reason: gone });
  }
  for (const [i, script] of scripts.slice(first).entries()) {
    const returned = await script.host.call(callFor({ chain, script, soFar, answer: i === 0 ? answer : undefined }));
    told.printed += scripts.length > 1 && returned.printed ? `[${script.name}]\n${returned.printed}` : returned.printed;
    if (returned.outcome !== "returned") {
      return end({ outcome: "deny", by: script.name, ...failure(script.name, returned, chain.deadlineMs) });
    }
    const language = script.host.facts.entry === "definePostAuth" ? "typescript" : "python";
    const judged = judgeResult({ value: returned.value, before: soFar, language });
    if (returned.state !== null) states[script.name] = returned.state;
    if (judged.decision === "bad") {
      return end({ outcome: "deny", by: script.name, code: "script-bad-result", reason: judged.problem });
    }
    told.warnings.push(...judged.warnings);
    if (returned.challenge !== null) {
      const resume = { script: script.name, crstate: returned.crstate, soFar };
      const question = { ...returned.challenge, resume };
      return end({ outcome: "challenge", by: script.name, question, ...decided(judged) });
    }
    if (judged.decision === "deny") {
      return end({ outcome: "deny", by: script.name, code: "script-denied", ...decided(judged) });
    }
    const { properties, save, extra } = judged;
    clientReason = judged.clientReason ?? clientReason;
    soFar = { user: judged.user, reason: judged.reason, properties, save: { ...soFar.save, ...save }, extra };
  }
  return end({ outcome: "allow", clientReason, save: soFar.save });
}

type Decided = Exclude<Judged, { decision: "bad" }>;

/** What a script that did not allow said. */
function decided({ user, reason, clientReason, properties }: Decided) {
  return { user, reason, clientReason, properties };
}

function callFor(options: {
  chain: ChainInput;
  script: ChainScript;
  soFar: SoFar;
  answer: ChainInput["answer"];
}): ScriptCall {
  const { chain, script, soFar, answer } = options;
  const { authcred, attributes, authret, info, directory } = chain.input;
  const { password, static_response, ...named } = authcred;
  const crstate = answer?.resume.crstate;
  const state = chain.states?.[script.name];
  return {
    arguments: {
      authcred: {
        ...named,
        ...(static_response && { static_response: static_response.reveal() }),
        ...(password && script.host.facts.retainPassword && { password: password.reveal() }),
      },
      attributes,
      authret: {
        ...soFar.extra,
        status: authret.status,
        user: soFar.user,
        reason: soFar.reason,
        proplist: soFar.properties,
      },
      info,
    },
    deadlineMs: chain.deadlineMs,
    ...(directory && { directory }),
    ...(state !== undefined && { state }),
    ...(crstate && { crstate }),
    ...(answer && { response: answer.response }),
  };
}

function failure(
  name: string,
  returned: Exclude<ScriptReturn, { outcome: "returned" }>,
  deadlineMs: number,
): Pick<ChainOutcome, "code" | "reason" | "traceback"> {
  const script = `the post-auth script ${name}`;
  switch (returned.outcome) {
    case "raised":
      return { code: "script-failed", reason: returned.message, traceback: returned.traceback };
    case "died":
      return { code: "script-failed", reason: `${script}: ${returned.message}`, traceback: null };
    case "unsendable":
      return { code: "script-bad-result", reason: returned.message, traceback: null };
    case "timed-out":
      return {
        code: "script-timed-out",
        reason: `${script} did not answer within ${deadlineMs / 1000} s`,
        traceback: null,
      };
    case "too-busy":
      return { code: "too-busy", reason: `too many calls of ${script} wait`, traceback: null };
  }
}
