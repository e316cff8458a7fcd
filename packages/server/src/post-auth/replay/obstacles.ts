import type { AttemptRecord } from "../../core/attempt.ts";
import { askedOf, wasAnswered } from "../cases/record-case.ts";
import type { ChainScript } from "../chain.ts";

/** Why nothing can be told of any attempt with these scripts: they read what is never recorded. */
export function obstacleForAll(scripts: readonly ChainScript[]): string | undefined {
  for (const { name, host } of scripts) {
    const { retainPassword, staticChallenge } = host.facts;
    if (retainPassword) return `${name} reads the password (RETAIN_PASSWORD), which is not kept`;
    if (staticChallenge !== null) return `${name} reads the static response (STATIC_CHALLENGE), which is not kept`;
  }
  return undefined;
}

/** Why this attempt cannot be replayed, whatever the scripts. */
export function obstacle(attempt: AttemptRecord): string | undefined {
  const asked = askedOf(attempt);
  if (asked === undefined) return "the scripts were not asked";
  if (wasAnswered(attempt)) return "a question was answered, and the answer is not kept";
  if (asked.input.attributes.reauth === true || asked.input.info.auth_method === "session") {
    return "the session went on, and what scripts keep for it (authret.state) is not recorded";
  }
  return undefined;
}
