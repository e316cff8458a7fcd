import type { ChangedMeanwhile } from "./auth/changed-meanwhile.ts";
import type { Pipeline } from "./auth/pipeline.ts";
import type { Connections } from "./connections/connections.ts";
import type { Passage } from "./connections/passage.ts";
import { withAttemptCode } from "./core/attempt-code.ts";
import type { Connection, EndReason } from "./core/connection.ts";
import type { Allow, Challenge, Deny } from "./core/decision.ts";
import { clientReasonOf, type ErrorCode, errorTable, SallyportError } from "./core/errors.ts";
import { followed, type Log } from "./core/log.ts";
import type { VpnSession } from "./core/session.ts";
import type { AccessRequest } from "./core/vpn-event.ts";
import type { Driver, DriverEvents } from "./drivers/driver.ts";
import type { Vetoes } from "./hooks/veto.ts";

/**
 * The whole arrow: a VPN event goes through the auth pipeline (the post-auth scripts are its last step) to a decision,
 * becomes a connection with its address and ledger row, is put to the connect hooks, and only then is the daemon told
 * yes. Every exit on the way refuses and leaves nothing behind. docs/lifecycle.md draws it.
 */
export function createLifecycle(options: {
  pipeline: Pipeline;
  connections: Connections;
  passage: Pick<Passage, "admission" | "open">;
  vetoes: Vetoes;
  driver: Driver;
  reconcile: DriverEvents["attached"];
  /** Why who was allowed is not any more: disabled, revoked or ended since the pipeline looked. */
  changedMeanwhile: ChangedMeanwhile;
  /** What a session token stands for from now on. */
  keepSession: (session: VpnSession) => Promise<void>;
  /** What a client gets its scripts with, where there are some for it and its platform. */
  ticketFor: (connection: Connection, platform: string | undefined) => Promise<string | null>;
  /** Notes on an attempt that the pipeline allowed why it was refused after all. */
  refusedAfterwards: (attemptId: string, refusal: AfterRefusal) => Promise<void>;
  /** The deadlines of scripts and hooks together: the client is told at the outset how long it may take. */
  longestWaitMs: () => Promise<number>;
  /** How many attempts may be under way at once; more are told to come back. */
  mostAttempts: number;
  log: Log;
}): { events: DriverEvents; settled(): Promise<void> } {
  const { pipeline, connections, passage, vetoes, driver, log } = options;
  let underWay = 0;

  async function answer(request: AccessRequest): Promise<void> {
    if (underWay >= options.mostAttempts)
      return refuse(request, { code: "too-busy", reason: "too many attempts are under way" });
    underWay += 1;
    let attemptId: string | undefined;
    try {
      await driver.announceWait(request.tunnel, await options.longestWaitMs());
      const decision = await pipeline.decide({ ...request, profileId: request.tunnel.profileId });
      if (decision.outcome === "deny") return await refuse(request, decision);
      if (decision.outcome === "challenge") return await ask(request, decision);
      const { userId: user, authMethod } = decision;
      attemptId = decision.attemptId;
      const { kind, clientAddress: from } = request;
      log.info({ ...request.tunnel, attempt: attemptId, user, from, authMethod, kind }, "allowed");
      if (request.kind === "reauth") return await letStay(request, decision);
      await letIn(request, decision);
    } catch (error) {
      log.error({ ...request.tunnel, error }, "an attempt failed");
      const code = error instanceof SallyportError ? error.code : "internal";
      const reason = error instanceof Error ? error.message : String(error);
      await refuse(request, { code, reason, ...(attemptId !== undefined && { attemptId }) });
    } finally {
      underWay -= 1;
    }
  }

  async function letStay(request: AccessRequest, decision: Allow): Promise<void> {
    const { attemptId } = decision;
    const changed = await options.changedMeanwhile(request, decision);
    if (changed !== null) return await refuse(request, { ...changed, attemptId });
    await keepSession(decision);
    await driver.admit(request.tunnel, stayAdmission);
  }

  /** Address and row, then the hooks, then the row is admitted, and last the daemon's yes. */
  async function letIn(request: AccessRequest, decision: Allow): Promise<void> {
    const opened = await connections.open(request, decision);
    const { attemptId } = decision;
    if ("refused" in opened) return refuse(request, { code: opened.refused, reason: opened.reason, attemptId });
    const { connection } = opened;
    try {
      // From here on whoever ends the user's or the device's connections finds the row.
      const changed = await options.changedMeanwhile(request, decision);
      if (changed !== null) {
        await connections.withdraw(connection, { reason: "rejected", detail: changed.reason });
        return await refuse(request, { ...changed, attemptId });
      }
      const asked = await vetoes.ask(connection);
      if (!asked.allowed) {
        await connections.withdraw(connection, { reason: "rejected", detail: asked.reason });
        return await refuse(request, { ...asked, attemptId });
      }
      await passage.open(connection);
      await keepSession(decision);
      const [admitted] = await Promise.all([connections.admit(connection, decision), asked.recorded]);
      if (!admitted) {
        await connections.withdraw(connection, { reason: "rejected", detail: "it ended while it was being admitted" });
        const reason = "the connection ended while it was being admitted";
        return await refuse(request, { code: "connection-ended", reason, attemptId });
      }
    } catch (error) {
      await connections.withdraw(connection, { reason: "rejected", detail: String(error) });
      throw error;
    }
    await tellYes(request, connection);
  }

  async function tellYes(request: AccessRequest, connection: Connection): Promise<void> {
    try {
      const ticket = await ticketFor(request, connection);
      await driver.admit(request.tunnel, { kind: "connect", ...passage.admission(connection), ticket });
      log.info({ ...request.tunnel, ...followed(connection), event: connection.connectEventId }, "admitted");
    } catch (error) {
      await connections.notAdmitted(connection, error);
    }
  }

  /** Nobody is kept out for want of scripts on their machine. */
  async function ticketFor(request: AccessRequest, connection: Connection): Promise<string | null> {
    return await options.ticketFor(connection, request.clientInfo.IV_PLAT).catch((error: unknown) => {
      log.error({ connection: connection.id, error }, "no ticket for client scripts could be made");
      return null;
    });
  }

  const keepSession = async ({ session }: Allow) => void (session && (await options.keepSession(session)));

  async function ask(request: AccessRequest, challenge: Challenge): Promise<void> {
    const { attemptId: _attempt, outcome: _outcome, userId: userName, ...question } = challenge;
    const from = request.clientAddress;
    log.info({ ...request.tunnel, user: userName, from, attempt: challenge.attemptId }, "asked a question");
    await driver.challenge(request.tunnel, { ...question, userName, waitMs: answerWaitMs });
  }

  /** A denial of the pipeline carries its attempt's code already; what comes after an attempt gets it here. */
  async function refuse(request: AccessRequest, refusal: Refusal): Promise<void> {
    const { code, reason, clientReason, attemptId } = refusal;
    const told = clientReason || clientReasonOf(code);
    const afterwards = attemptId !== undefined && !("outcome" in refusal);
    const clientText = afterwards ? withAttemptCode(told, attemptId) : told;
    if (afterwards) {
      const refusal = { code, reason, clientReason: clientText };
      observed("why an attempt was refused", options.refusedAfterwards(attemptId, refusal));
    }
    const { username: user, clientAddress: from } = request;
    const refused = { ...request.tunnel, attempt: attemptId, user, from, code, reason, told: clientText };
    const { kind: whoMustAct, next } = errorTable[code];
    if (whoMustAct === "outage") log.warn({ ...refused, next }, "refused");
    else log.info(refused, "refused");
    // Somebody who is in is ended by this.
    if (request.kind === "reauth")
      await connections.endsAs(request.tunnel, { reason: endReasonOf(code), detail: reason });
    const retry = code === "too-busy" || code === "address-in-use" ? { retryAfterSeconds: 5 } : {};
    const { kind, tunnel } = request;
    const tell = () =>
      driver
        .refuse(tunnel, {
          kind,
          reason,
          clientReason: clientText,
          code,
          ...(attemptId !== undefined && { attemptId }),
          ...retry,
        })
        .catch((error: unknown) => log.warn({ ...tunnel, error }, "a refusal did not reach the VPN daemon"));
    const end = { reason: code === "session-expired" ? "expired" : "rejected", detail: reason } as const;
    await (kind === "reauth" ? connections.dismiss(tunnel, end, tell) : tell());
  }

  const unfinished = new Set<Promise<void>>();
  const observed = (what: string, work: Promise<void>) => {
    const done: Promise<void> = work
      .catch((error: unknown) => log.error({ error }, `${what} could not be recorded; reconciling will mend it`))
      .finally(() => unfinished.delete(done));
    unfinished.add(done);
  };
  return {
    events: {
      asked: (request) => observed("an attempt", answer(request)),
      established: (tunnel) => observed("an established connection", connections.established(tunnel)),
      traffic: (counts) => observed("byte counts", connections.traffic(counts)),
      gone: (tunnel, counts) => observed("the end of a connection", connections.gone(tunnel, counts)),
      attached: options.reconcile,
    },
    /** Resolves when everything that was under way when it was called has been written down. */
    settled: async () => void (await Promise.all(unfinished)),
  };
}

type AfterRefusal = { code: ErrorCode; reason: string; clientReason: string };
type Refusal = { code: ErrorCode; reason: string; clientReason?: string | null; attemptId?: string } | Deny;

/** Why a connection ends whose renewed sign-in was denied. */
function endReasonOf(code: ErrorCode): EndReason {
  if (code === "session-expired") return "expired";
  const withdrawn: readonly ErrorCode[] = [
    "account-disabled",
    "access-denied",
    "certificate-revoked",
    "certificate-expired",
  ];
  return withdrawn.includes(code) ? "disabled" : "rejected";
}

/** As long as a question waits for its answer. */
const answerWaitMs = 5 * 60_000;

const stayAdmission = { kind: "reauth", ipv4: null, ipv6: null, routes: [], dns: [] } as const;
