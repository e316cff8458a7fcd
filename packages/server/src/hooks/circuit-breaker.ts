/**
 * Keeps from hammering what does not answer. After so many failures in a row it opens: for the pause nothing is sent.
 * Then one is let through (half open): if it succeeds everything goes on, if it fails the pause begins anew.
 */
export class CircuitBreaker {
  readonly #terms: { failures: number; pauseMs: number };
  /** Milliseconds that never go back. */
  readonly #clock: () => number;
  #failuresInARow = 0;
  #openUntil = 0;
  #probing = false;
  #quietUntil = 0;

  constructor(terms: { failures: number; pauseMs: number }, clock: () => number = () => performance.now()) {
    this.#terms = terms;
    this.#clock = clock;
  }

  /** How many may begin now of those that can wait. */
  room(): number {
    if (this.#clock() < this.#quietUntil) return 0;
    if (!this.#isOpen()) return Number.POSITIVE_INFINITY;
    return this.#mayProbe() ? 1 : 0;
  }

  /** Whether one may begin now that cannot wait; whoever begins says how it came out. */
  enter(): boolean {
    if (!this.#isOpen()) return true;
    if (!this.#mayProbe()) return false;
    this.#probing = true;
    return true;
  }

  /** How long it stays open; 0 where the next one may try. */
  remainingMs(): number {
    return this.#isOpen() ? Math.max(0, this.#openUntil - this.#clock()) : 0;
  }

  get failuresInARow(): number {
    return this.#failuresInARow;
  }

  succeeded(): void {
    this.#probing = false;
    this.#failuresInARow = 0;
  }

  failed(): void {
    this.#probing = false;
    this.#failuresInARow += 1;
    if (this.#isOpen()) this.#openUntil = this.#clock() + this.#terms.pauseMs;
  }

  /** It ended without saying anything of the other side. */
  unknown(): void {
    this.#probing = false;
  }

  /** The other side asked for rest: what can wait does so. */
  rest(ms: number): void {
    this.#quietUntil = Math.max(this.#quietUntil, this.#clock() + ms);
  }

  #isOpen(): boolean {
    return this.#failuresInARow >= this.#terms.failures;
  }

  #mayProbe(): boolean {
    return !this.#probing && this.#clock() >= this.#openUntil;
  }
}
