import { addressNumber, addressOf } from "../core/address-range.ts";
import type { AttemptRecord } from "../core/attempt.ts";

/** Wrong credentials counted within a sliding window, for users and for the addresses they came from. */
export class LockOut {
  readonly #terms: LockOutTerms;
  readonly #failures = new Map<string, number[]>();

  constructor(terms: LockOutTerms) {
    this.#terms = terms;
  }

  /** A configuration read again; what was counted stays. */
  set terms(terms: LockOutTerms) {
    Object.assign(this.#terms, terms);
  }

  /** Counts what an attempt showed. Tries at the command line, and answers to no question of ours, show nothing. */
  observe({ kind, code, outcome, userId, clientAddress, at }: AttemptRecord, given: Given): void {
    if (kind === "authcli" || userId === null || clientAddress === null) return;
    const who = { userId, typed: given.username, address: clientAddress };
    // A script that denies an answer, or never has enough of them, has not said why: it may have been a guess.
    const wrongAnswer = (code === "script-denied" || code === "too-many-questions") && given.answer;
    if (code === "wrong-credentials" || code === "totp-wrong" || wrongAnswer) this.failed(who, Date.parse(at));
    else if (outcome === "allow") this.succeeded(who);
  }

  failed(who: Guarded, at: number): void {
    for (const [key, most] of this.#limits(who)) {
      const before = this.#recent(key, at);
      // Set anew, so that the map's order is about that of the newest failure; not each time, since a Map grows slow where
      // one key is deleted over and over. More than so many times would say nothing more.
      const newest = before.at(-1) ?? Number.NEGATIVE_INFINITY;
      if (newest < at - this.#terms.windowMs / 10) this.#failures.delete(key);
      this.#failures.set(key, [...before, at].slice(-most));
    }
    if (this.#failures.size <= mostKept) return;
    // Many at once: each walk from the front passes over what was deleted there before.
    for (const key of this.#failures.keys()) {
      if (this.#failures.size <= mostKept * 0.9) break;
      this.#failures.delete(key);
    }
  }

  /** A right password shows that the user is there: what others tried before does not count against them. */
  succeeded(who: Guarded): void {
    for (const name of namesOf(who)) this.#failures.delete(`user ${name}`);
  }

  /** Who is locked out and until when, or undefined. It always ends by itself. */
  locked(who: Guarded, at: number): { what: string; until: Date } | undefined {
    for (const [what, most] of this.#limits(who)) {
      const times = this.#recent(what, at);
      const oldest = times[times.length - most];
      if (oldest !== undefined) return { what, until: new Date(oldest + this.#terms.windowMs) };
    }
    return undefined;
  }

  #limits(who: Guarded): [string, number][] {
    const { failures, addressFailures } = this.#terms;
    return [
      ...[...namesOf(who)].map((name): [string, number] => [`user ${name}`, failures]),
      [`address ${networkOf(who.address)}`, addressFailures],
    ];
  }

  #recent(key: string, at: number): number[] {
    return (this.#failures.get(key) ?? []).filter((time) => time > at - this.#terms.windowMs);
  }
}

/** A directory may call users by other names than they type. */
type Guarded = { userId: string; typed?: string | undefined; address: string };
type Given = { username: string | undefined; answer: boolean };

/** Directories take names in any case, so that each spelling would have guesses of its own. */
function namesOf({ userId, typed = userId }: Guarded): Set<string> {
  return new Set([userId, typed].map((name) => name.normalize("NFKC").trim().toLowerCase()));
}

/** Whoever has one IPv6 address has the 2^64 beside it. */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  return `${addressOf(6, (addressNumber(address) >> 64n) << 64n)}/64`;
}

export type LockOutTerms = {
  /** Wrong credentials within the window that lock a user out. */
  failures: number;
  /** The same for an address, which many users may share. */
  addressFailures: number;
  windowMs: number;
};

const mostKept = 100_000;
