import { createGuardrails, generateSecret, generateURI, verify } from "otplib";
import type { Properties } from "../core/properties.ts";

/** Access Server's names, on the user's own record; the last one is ours. */
export const totpProperties = {
  secret: "pvt_google_auth_secret",
  /** `false`: a secret is there, and the user was never shown it. */
  locked: "pvt_google_auth_secret_locked",
  /** The newest time step whose code was accepted. */
  lastStep: "pvt_totp_last_step",
} as const;

const stepSeconds = 30;
/** How far a code may be off, before and after: Access Server's window. */
const acceptedSteps = 1;
/** How far a wrong code is looked for, to say that a clock is wrong. */
const hintSteps = 10;
/** Access Server's secrets have ten bytes. */
const guardrails = createGuardrails({ MIN_SECRET_BYTES: 10 });

/** The secret of an authenticator app, or why there is none that counts. */
export function enrolmentOf(own: Properties): { secret: string } | { missing: string } {
  const secret = own[totpProperties.secret]?.replaceAll(/[\s-]/g, "").replace(/=+$/, "").toUpperCase();
  if (!secret) return { missing: "no authenticator was enrolled" };
  if (!/^[A-Z2-7]{16,103}$/.test(secret)) {
    return { missing: `${totpProperties.secret} is not a secret of 16 to 103 base32 characters` };
  }
  if (own[totpProperties.locked] === "false") {
    return { missing: `a secret was made and not handed out yet (${totpProperties.locked} is false)` };
  }
  return { secret };
}

/** 160 bits, in base32. */
export function newTotpSecret(): string {
  return generateSecret();
}

/** What authenticator apps scan. */
export function enrolmentUri(given: { issuer: string; userId: string; secret: string }): string {
  const { issuer, userId: label, secret } = given;
  return generateURI({ issuer, label, secret });
}

/** `step` counts half minutes since 1970; `offSteps` is how far a code is off that would be right then, where that is near. */
export type TotpMatch = { matches: true; step: number } | { matches: false; offSteps: number | null };

/** Whether a code is right at a time, by RFC 6238 as authenticator apps have it: SHA-1, six digits, half minutes. */
export async function matchTotp(given: { secret: string; code: string; at: Date }): Promise<TotpMatch> {
  const { secret, code, at } = given;
  const epoch = Math.floor(at.getTime() / 1000);
  const within = async (steps: number) =>
    await verify({ secret, token: code, epoch, epochTolerance: steps * stepSeconds, guardrails });
  const near = await within(acceptedSteps);
  if (near.valid) return { matches: true, step: Math.floor(epoch / stepSeconds) + near.delta };
  const far = await within(hintSteps);
  return { matches: false, offSteps: far.valid ? far.delta : null };
}

/** Six digits, however they were typed in groups; undefined where it is something else. */
export function readTotpCode(text: string): string | undefined {
  const code = text.replaceAll(/[\s-]/g, "");
  return /^\d{6}$/.test(code) ? code : undefined;
}

/** For the trace: whose clock to look at. */
export function clockHint(offSteps: number | null): string {
  if (offSteps === null) return "the code is wrong";
  const seconds = Math.abs(offSteps) * stepSeconds;
  const direction = offSteps < 0 ? "behind" : "ahead of";
  return `the code is right for a clock about ${seconds} s ${direction} this server's: check both clocks (is the server's set by NTP?)`;
}

/** For the trace, of a right code for which it is too late. */
export function whyUsed(step: number, lastStep: string): string {
  const ahead = Number(lastStep) - step;
  if (ahead === 0) return "the code was used already: each is good for one sign-in";
  if (ahead <= 2 * acceptedSteps) return "a newer code was used already, which makes older ones void";
  return `the newest code used was that of step ${lastStep}, this one is of step ${step}: this server's clock was ahead; \`sallyport totp reset\` begins anew`;
}
