import { randomBytes } from "node:crypto";
import type { AttemptRecord, TraceEntry } from "../core/attempt.ts";
import { withAttemptCode } from "../core/attempt-code.ts";
import type { Allow, Challenge, Decision, Deny } from "../core/decision.ts";
import { clientReasonOf, SallyportError } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import { maskSecrets } from "../core/properties.ts";
import type { VpnSession } from "../core/session.ts";
import type { ChallengeStore } from "../store/store.ts";
import { carry } from "./carried.ts";
import type { AuthRequest, Findings, Step, StepOutcome } from "./step.ts";
import { sessionToKeep } from "./steps/resume-session.ts";

/** Every check of an attempt, in order. The first that denies ends it; a fault in a step denies as `internal`. */
export type Pipeline = { decide(request: AuthRequest): Promise<Decision> };

/** How long an answer is waited for (COMPATIBILITY: `crstate`). */
const answerWithinMs = 5 * 60_000;
/** The attribute Class (RFC 2865 section 5.25). */
const radiusClass = 25;

export function createPipeline(options: {
  steps: readonly Step[];
  challenges: Pick<ChallengeStore, "put">;
  /** One login is asked no more, so that what never stops asking ends as a no. */
  mostQuestions: () => number;
  /** How long a session lasts where `prop_expire` is not set, in seconds; 0: it does not expire. */
  usualSessionSeconds: () => Promise<number>;
  /** `given`: the name as it was typed, and whether an answer to a question was judged. */
  record: (attempt: AttemptRecord, given: { username: string | undefined; answer: boolean }) => void;
  /** A fault of ours, with the attempt it struck; the person only learns that something went wrong. */
  onFault: (attemptId: string, step: string, error: unknown) => void;
}): Pipeline {
  return {
    async decide(request) {
      const attemptId = newId();
      const started = performance.now();
      let findings = emptyFindings(request);
      const trace: TraceEntry[] = [];
      let end: Ending | undefined;
      for (const step of options.steps) {
        const began = performance.now();
        const outcome = await step.run(findings).catch((error: unknown): StepOutcome => {
          options.onFault(attemptId, step.name, error);
          return faultOutcome(step.name, error);
        });
        trace.push(traceEntry(step.name, outcome, performance.now() - began));
        if (outcome.outcome !== "skipped") findings = { ...findings, ...outcome.found };
        if (outcome.outcome === "denied" || outcome.outcome === "challenged") {
          end = { ...outcome, step: step.name };
          break;
        }
      }
      const decision = await decisionOf(attemptId, findings, end).catch((error: unknown) => {
        options.onFault(attemptId, "decision", error);
        return deny(attemptId, findings, faultOutcome("decision", error));
      });
      const { username, staticResponse } = findings.credentials;
      const answer = findings.answered !== null || staticResponse !== undefined;
      options.record(attemptRecord(findings, decision, trace, performance.now() - started), { username, answer });
      return decision;
    },
  };

  async function decisionOf(attemptId: string, findings: Findings, end: Ending | undefined): Promise<Decision> {
    if (end === undefined)
      return allow(attemptId, findings, await sessionToKeep(findings, options.usualSessionSeconds));
    if (end.outcome === "denied") return deny(attemptId, findings, end);
    return await ask(attemptId, findings, end);
  }

  /** The question waits for its answer in the store: the daemon may be another process by then. */
  async function ask(
    attemptId: string,
    findings: Findings,
    { step, text, echo, resume, web }: Extract<Ending, { outcome: "challenged" }>,
  ): Promise<Challenge | Deny> {
    const { request, credentials, at } = findings;
    const userId = credentials.username ?? findings.userId;
    if (userId === null) return deny(attemptId, findings, faultOutcome(step, new Error("a question to nobody")));
    if (request.kind === "reauth" || request.protocol === "wireguard") {
      const who = request.kind === "reauth" ? "a client whose key is renewed" : "a WireGuard device";
      const reason = `${step} asked a question, and ${who} cannot be asked`;
      return deny(attemptId, findings, { outcome: "denied", code: "challenge-unsupported", reason });
    }
    const most = options.mostQuestions();
    if (findings.questions >= most) {
      const reason = `${step} asked question ${findings.questions + 1} of one login; scripts.mostQuestions is ${most}`;
      return deny(attemptId, findings, { outcome: "denied", code: "too-many-questions", reason });
    }
    const stateId = web?.id ?? randomBytes(18).toString("base64url");
    await options.challenges.put({
      id: stateId,
      userId,
      profileId: request.profileId,
      serial: request.certificate?.serial ?? null,
      expiresAt: new Date(at.getTime() + answerWithinMs).toISOString(),
      carried: carry(step, resume, findings),
    });
    const question = { stateId, text, echo, responseRequired: true, ...(web && { url: web.url }) };
    return { outcome: "challenge", attemptId, userId, ...question };
  }
}

type Ending = Extract<StepOutcome, { outcome: "denied" | "challenged" }> & { step: string };

function emptyFindings(request: AuthRequest): Findings {
  return {
    request,
    at: new Date(),
    credentials: { username: undefined, password: undefined, staticResponse: undefined, challenge: undefined },
    userId: request.username ?? null,
    configOwner: null,
    configKind: null,
    configExpiresAt: null,
    terms: { loaded: false, authNull: false, groupSelect: false },
    method: null,
    methodReason: "",
    info: {},
    properties: {},
    group: null,
    save: {},
    answered: null,
    questions: 0,
    totpAccepted: false,
    states: {},
    resumedSession: null,
    directory: null,
    scriptInput: null,
  };
}

function faultOutcome(step: string, error: unknown): Extract<StepOutcome, { outcome: "denied" }> {
  const code = error instanceof SallyportError ? error.code : "internal";
  const message = error instanceof Error ? error.message : String(error);
  return { outcome: "denied", code, reason: `${step}: ${message}` };
}

function deny(attemptId: string, findings: Findings, denial: Extract<StepOutcome, { outcome: "denied" }>): Deny {
  const { code, reason, clientReason } = denial;
  return {
    outcome: "deny",
    attemptId,
    userId: findings.userId,
    code,
    reason,
    clientReason: withAttemptCode(clientReason || clientReasonOf(code), attemptId),
  };
}

function allow(attemptId: string, findings: Findings, session: VpnSession | null): Allow | Deny {
  const { userId, method, methodReason, properties, group, save } = findings;
  if (userId === null || method === null) {
    return deny(attemptId, findings, faultOutcome("decision", new Error("no step established who this is")));
  }
  const { resumedSession } = findings;
  const radiusClasses = findings.info.radius_reply?.[radiusClass];
  return {
    outcome: "allow",
    attemptId,
    userId,
    authMethod: method,
    reason: methodReason,
    properties,
    group,
    save,
    session,
    ...(findings.configExpiresAt !== null && { deviceExpiresAt: findings.configExpiresAt }),
    ...(resumedSession !== null && { resumes: resumedSession.id }),
    ...(radiusClasses && { radiusClasses }),
  };
}

function traceEntry(step: string, outcome: StepOutcome, durationMs: number): TraceEntry {
  const told: Partial<TraceEntry> = outcome.outcome === "skipped" ? {} : outcome;
  return {
    step,
    outcome: outcome.outcome,
    detail: detailOf(outcome),
    durationMs: Math.round(durationMs * 100) / 100,
    ...(told.by !== undefined && { by: told.by }),
    ...(told.warnings && told.warnings.length > 0 && { warnings: told.warnings }),
    printed: told.printed ?? null,
    traceback: told.traceback ?? null,
    changes: told.changes ?? null,
  };
}

function detailOf(outcome: StepOutcome): string {
  if (outcome.outcome === "denied") return outcome.reason;
  return outcome.outcome === "challenged" ? `asked: ${outcome.text}` : outcome.detail;
}

function attemptRecord(findings: Findings, decision: Decision, trace: TraceEntry[], durationMs: number): AttemptRecord {
  const { request } = findings;
  return {
    id: decision.attemptId,
    at: findings.at.toISOString(),
    kind: request.kind,
    profileId: request.profileId,
    protocol: request.protocol,
    userId: decision.userId,
    clientAddress: request.clientAddress,
    certificateSerial: request.certificate?.serial ?? null,
    commonName: request.certificate?.commonName ?? request.device?.publicKey ?? null,
    authMethod: findings.method,
    outcome: decision.outcome,
    code: decision.outcome === "deny" ? decision.code : null,
    reason: decision.outcome === "challenge" ? "a question was put" : decision.reason,
    clientReason: decision.outcome === "deny" ? decision.clientReason : null,
    properties: maskSecrets(findings.properties),
    trace,
    durationMs: Math.round(durationMs * 100) / 100,
    scriptInput: findings.scriptInput,
  };
}
