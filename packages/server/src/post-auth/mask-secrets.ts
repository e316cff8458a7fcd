import type { PostAuthInput, PostAuthVerdict } from "../core/post-auth.ts";
import type { Secret } from "../core/secret.ts";

/** Shorter ones occur in any text by chance. */
const shortest = 4;

/** Takes the password and the answer to a challenge out of what a script said, before anybody records it. */
export function maskSecretsOf(authcred: PostAuthInput["authcred"], verdict: PostAuthVerdict): PostAuthVerdict {
  const secrets = [authcred.password, authcred.static_response]
    .filter((secret): secret is Secret => secret !== undefined)
    .map((secret) => secret.reveal())
    .filter((text) => text.length >= shortest);
  const mask = (text: string) => secrets.reduce((masked, secret) => masked.replaceAll(secret, "[secret]"), text);
  return {
    ...verdict,
    reason: mask(verdict.reason),
    printed: mask(verdict.printed),
    traceback: verdict.traceback === null ? null : mask(verdict.traceback),
    warnings: verdict.warnings.map(mask),
  };
}
