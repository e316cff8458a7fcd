import { createHash, randomBytes } from "node:crypto";

/** Who an identity provider says signed in. */
export type SamlPerson = { userId: string; attributes: Record<string, string[]> };

/** Who is asked, and from where the VPN client came. */
export type SamlAsked = { username: string; address: string | undefined };

const mostWaiting = 5_000;
const mostAssertions = 50_000;
/** As long as a question waits for its answer. */
const waitMs = 5 * 60_000;

/**
 * Sign-ins that people are at in their browsers: who was asked, and, when the identity provider vouched for somebody,
 * who it was, under a word that only the tunnel's answer carries. In memory: a daemon that starts anew tells every
 * client to come back anyway. Bounded; what finds no room is refused.
 */
export class SamlSignIns {
  readonly #waiting = new Map<string, SamlAsked & { until: number }>();
  readonly #done = new Map<string, { id: string; person: SamlPerson; until: number }>();
  readonly #assertions = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** The name of a new sign-in, unguessable; undefined where too many are under way. */
  begin(asked: SamlAsked): string | undefined {
    forget(this.#waiting, (one) => one.until <= this.#now());
    if (this.#waiting.size >= mostWaiting) return undefined;
    const id = randomBytes(24).toString("base64url");
    this.#waiting.set(id, { ...asked, until: this.#now() + waitMs });
    return id;
  }

  waits(id: string): boolean {
    return this.asked(id) !== undefined;
  }

  /** Undefined where nobody waits. */
  asked(id: string): SamlAsked | undefined {
    const found = this.#waiting.get(id);
    return found !== undefined && found.until > this.#now() ? found : undefined;
  }

  /** Takes an assertion's name down; false where it was used before, or cannot be remembered. */
  useAssertion(id: string, validUntil: number): boolean {
    forget(this.#assertions, (until) => until <= this.#now());
    if (this.#assertions.has(id) || this.#assertions.size >= mostAssertions) return false;
    this.#assertions.set(id, validUntil);
    return true;
  }

  /** Ends the wait, once. The word given is the answer that stands for the person; undefined where nobody waits. */
  finish(id: string, person: SamlPerson): string | undefined {
    if (!this.waits(id)) return undefined;
    this.#waiting.delete(id);
    forget(this.#done, (one) => one.until <= this.#now());
    if (this.#done.size >= mostWaiting) return undefined;
    const word = randomBytes(24).toString("base64url");
    this.#done.set(digest(word), { id, person, until: this.#now() + waitMs });
    return word;
  }

  /** Whom a word stands for, once. */
  take(id: string, word: string): SamlPerson | undefined {
    const key = digest(word);
    const found = this.#done.get(key);
    if (found?.id !== id || found.until <= this.#now()) return undefined;
    this.#done.delete(key);
    return found.person;
  }
}

function forget<Value>(entries: Map<string, Value>, isOver: (value: Value) => boolean): void {
  for (const [key, value] of entries) if (isOver(value)) entries.delete(key);
}

function digest(word: string): string {
  return createHash("sha256").update(word).digest("base64url");
}
