import type { PostAuthVerdict } from "../core/post-auth.ts";
import type { Secret } from "../core/secret.ts";

/** Shorter ones occur in any text by chance. */
const shortest = 4;

/** Takes what a script was trusted with out of what it said, before anybody records it. */
export function maskSecretsOf(known: readonly (Secret | undefined)[], verdict: PostAuthVerdict): PostAuthVerdict {
  const secrets = known
    .filter((secret) => secret !== undefined)
    .map((secret) => secret.reveal())
    .filter((text) => text.length >= shortest);
  const mask = (text: string) => secrets.reduce((masked, secret) => masked.replaceAll(secret, "[secret]"), text);
  return {
    ...verdict,
    reason: mask(verdict.reason),
    clientReason: verdict.clientReason === null ? null : mask(verdict.clientReason),
    printed: mask(verdict.printed),
    traceback: verdict.traceback === null ? null : mask(verdict.traceback),
    warnings: verdict.warnings.map(mask),
  };
}
