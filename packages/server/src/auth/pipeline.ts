import type { AttemptRecord, TraceEntry } from "../core/attempt.ts";
import type { Allow, Deny } from "../core/decision.ts";
import { clientReasonOf, SallyportError } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import { maskSecrets } from "../core/properties.ts";
import type { AuthRequest, Findings, Step, StepOutcome } from "./step.ts";

/** Every check of an attempt, in order. The first that denies ends it; a fault in a step denies as `internal`. */
export type Pipeline = { decide(request: AuthRequest): Promise<Allow | Deny> };

export function createPipeline(options: {
  steps: readonly Step[];
  record: (attempt: AttemptRecord) => void;
  /** A fault of ours, with the attempt it struck; the person only learns that something went wrong. */
  onFault: (attemptId: string, step: string, error: unknown) => void;
}): Pipeline {
  return {
    async decide(request) {
      const attemptId = newId();
      const started = performance.now();
      let findings = emptyFindings(request);
      const trace: TraceEntry[] = [];
      let denial: Extract<StepOutcome, { outcome: "denied" }> | undefined;
      for (const step of options.steps) {
        const began = performance.now();
        const outcome = await step.run(findings).catch((error: unknown): StepOutcome => {
          options.onFault(attemptId, step.name, error);
          return faultOutcome(step.name, error);
        });
        trace.push(traceEntry(step.name, outcome, performance.now() - began));
        if (outcome.outcome !== "skipped") findings = { ...findings, ...outcome.found };
        if (outcome.outcome === "denied") {
          denial = outcome;
          break;
        }
      }
      const decision = denial ? deny(attemptId, findings, denial) : allow(attemptId, findings);
      options.record(attemptRecord(findings, decision, trace, performance.now() - started));
      return decision;
    },
  };
}

function emptyFindings(request: AuthRequest): Findings {
  return {
    request,
    at: new Date(),
    credentials: { username: undefined, password: undefined, staticResponse: undefined, challenge: undefined },
    userId: request.username ?? null,
    configOwner: null,
    terms: { loaded: false, authNull: false, groupSelect: false },
    method: null,
    methodReason: "",
    info: {},
    properties: {},
    group: null,
    save: {},
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
    clientReason: clientReason || clientReasonOf(code),
  };
}

function allow(attemptId: string, findings: Findings): Allow | Deny {
  const { userId, method, methodReason, properties, group, save } = findings;
  if (userId === null || method === null) {
    return deny(attemptId, findings, faultOutcome("decision", new Error("no step established who this is")));
  }
  return { outcome: "allow", attemptId, userId, authMethod: method, reason: methodReason, properties, group, save };
}

function traceEntry(step: string, outcome: StepOutcome, durationMs: number): TraceEntry {
  const told: Partial<TraceEntry> = outcome.outcome === "skipped" ? {} : outcome;
  return {
    step,
    outcome: outcome.outcome,
    detail: outcome.outcome === "denied" ? outcome.reason : outcome.detail,
    durationMs: Math.round(durationMs * 100) / 100,
    printed: told.printed ?? null,
    traceback: told.traceback ?? null,
    changes: told.changes ?? null,
  };
}

function attemptRecord(
  findings: Findings,
  decision: Allow | Deny,
  trace: TraceEntry[],
  durationMs: number,
): AttemptRecord {
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
    commonName: request.certificate?.commonName ?? null,
    authMethod: findings.method,
    outcome: decision.outcome,
    code: decision.outcome === "deny" ? decision.code : null,
    reason: decision.reason,
    clientReason: decision.outcome === "deny" ? decision.clientReason : null,
    properties: maskSecrets(findings.properties),
    trace,
    durationMs: Math.round(durationMs * 100) / 100,
    scriptInput: findings.scriptInput,
  };
}
