import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import { hash, type Options, verify } from "@node-rs/argon2";
import { SallyportError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";

/** Argon2id with OWASP's first choice of costs: 19 MiB, two passes, one lane. `Algorithm` is a const enum: 2 is argon2id. */
const costs: Options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Of a random password that nobody has kept, with the same costs. */
export const nobodysDigest =
  "$argon2id$v=19$m=19456,t=2,p=1$wMCcmw5cYq5O7GE1QSHfTw$Y1aFhK62tPFNWjrCEoq35aOd1LI5WJgHoiIrYF06Sfo";

/** Stands before the digest of a password's SHA-256. */
const ofSha256 = "sha256:";

const longestBytes = 1000;

/** Node has four threads for such work: one at least stays free for files, and a small machine keeps a core. */
const usuallyAtOnce = Math.min(3, Math.max(2, availableParallelism() - 1));

/** Password digests. All work runs on threads; the loop goes on. Errors: `too-busy` where too many wait already. */
export interface Passwords {
  hash(password: Secret): Promise<string>;
  /**
   * The digest of a password of which only the SHA-256 is known, in hex, as Access Server before 2.10.1 kept it. What is
   * kept is as costly to guess from as our own.
   */
  hashSha256(sha256: Secret): Promise<string>;
  verify(digest: string, password: Secret): Promise<boolean>;
  /** Takes as long as `verify` for somebody who exists, so that timing does not tell who does. */
  verifyNobody(password: Secret): Promise<void>;
}

export function createPasswords(bounds: { atOnce?: number; mostWaiting?: number } = {}): Passwords {
  const { atOnce = usuallyAtOnce, mostWaiting = 500 } = bounds;
  let running = 0;
  const waiting: (() => void)[] = [];

  /** First come, first served: whoever ends hands its place to the one that has waited longest. */
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    if (running < atOnce) running += 1;
    else if (waiting.length < mostWaiting) await new Promise<void>((resolve) => waiting.push(resolve));
    else throw new SallyportError("too-busy", `${mostWaiting} passwords wait to be checked already`);
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };

  const check = (digest: string, password: Secret) =>
    inTurn(async () => {
      try {
        const text = password.reveal();
        return await (digest.startsWith(ofSha256)
          ? verify(digest.slice(ofSha256.length), createHash("sha256").update(text).digest("hex"))
          : verify(digest, text));
      } catch (error) {
        // A digest that cannot be read is an outage; it must not read as a wrong password.
        throw new SallyportError("internal", "a stored password digest cannot be read; set a new password", {
          cause: error,
        });
      }
    });

  return {
    hash: (password) => inTurn(() => hash(password.reveal(), costs)),
    hashSha256: async (sha256) => ofSha256 + (await inTurn(() => hash(sha256.reveal().toLowerCase(), costs))),
    verify: check,
    verifyNobody: async (password) => {
      await check(nobodysDigest, password);
    },
  };
}

/** @throws SallyportError `invalid-input` for a password that could never be typed into an OpenVPN client. */
export function checkNewPassword(password: Secret): void {
  const text = password.reveal();
  const bytes = Buffer.byteLength(text);
  if (text === "") throw new SallyportError("invalid-input", "a password must not be empty");
  if (bytes > longestBytes)
    throw new SallyportError(
      "invalid-input",
      `a password may have at most ${longestBytes} bytes; this one has ${bytes}`,
    );
  if (!text.isWellFormed() || text.includes("\0"))
    throw new SallyportError("invalid-input", "a password must be valid UTF-8 without NUL bytes");
  if (/^S?CRV1:/.test(text))
    throw new SallyportError("invalid-input", "a password must not begin as OpenVPN's challenge answers do (CRV1:)");
}
