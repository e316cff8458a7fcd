/** Guarantees: a session token is good for the user and device it was given to, and only while the session lasts. */
import { createHash } from "node:crypto";
import type { VpnSession } from "../../core/session.ts";
import type { SessionStore } from "../../store/store.ts";
import { denied, type Findings, passed, type Step } from "../step.ts";

/** The VPN daemon has checked the token itself; what it stands for is looked up here. */
export function resumeSession(options: { sessions: Pick<SessionStore, "get"> }): Step {
  return {
    name: "resume session",
    async run({ request, credentials, configOwner, configKind, answered, at }) {
      const { session, certificate, profileId } = request;
      if (session === undefined || session.state === "initial") {
        return { outcome: "skipped", detail: "no session token was sent" };
      }
      // Its certificate stands for it at each sign-in, and no session is kept.
      if (configKind === "auto-login") return { outcome: "skipped", detail: "an auto-login client config needs none" };
      if (session.state !== "authenticated") return denied("session-expired", `the session token is ${session.state}`);
      const kept = await options.sessions.get(sessionId(session.id));
      if (kept === undefined) return denied("session-expired", "the session is not known, or was ended");
      const user = credentials.username ?? configOwner;
      if (kept.userId !== user && kept.signedInAs !== user) {
        return denied("session-expired", `the session belongs to ${kept.userId}, the name given is ${user}`);
      }
      if (kept.connectionId !== certificate?.commonName || kept.profileId !== profileId) {
        return denied("session-expired", "the session belongs to another device or profile", { userId: kept.userId });
      }
      if (kept.expiresAt !== null && kept.expiresAt <= at.toISOString()) {
        return denied("session-expired", `the session expired at ${kept.expiresAt}`, { userId: kept.userId });
      }
      return passed("the session goes on", {
        userId: kept.userId,
        method: "session",
        methodReason: "session token accepted",
        // What scripts kept before one of them asked is newer.
        ...(answered === null && { states: kept.states }),
        resumedSession: kept,
      });
    },
  };
}

/**
 * What is to be kept of a session so that it need not sign in again: the new one, or the resumed one with new states.
 * `usualSeconds`: how long it lasts for whom `prop_expire` is not set; 0: it does not expire.
 */
export async function sessionToKeep(
  findings: Findings,
  usualSeconds: () => Promise<number>,
): Promise<VpnSession | null> {
  const { request, userId, states, resumedSession, properties, credentials, method, at } = findings;
  const { session, certificate, profileId } = request;
  // After a question that refused the tunnel the daemon has another name for it; it lasts no longer for that.
  if (resumedSession !== null) {
    return { ...resumedSession, id: session ? sessionId(session.id) : resumedSession.id, states: { ...states } };
  }
  if (session === undefined || !certificate || profileId === null || userId === null || method === "autologin")
    return null;
  const lifetimeSeconds = Number(properties.prop_expire ?? (await usualSeconds()));
  return {
    id: sessionId(session.id),
    userId,
    signedInAs: credentials.username ?? userId,
    profileId,
    connectionId: certificate.commonName,
    createdAt: at.toISOString(),
    expiresAt: lifetimeSeconds > 0 ? new Date(at.getTime() + lifetimeSeconds * 1000).toISOString() : null,
    states: { ...states },
  };
}

function sessionId(daemonsName: string): string {
  return createHash("sha256").update(daemonsName).digest("base64url");
}
