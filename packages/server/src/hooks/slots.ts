/** A bound on how much runs at once, first come first served, with a bound on how many wait for their turn. */
export class Slots {
  readonly #mostWaiting: number;
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(bounds: { atOnce: number; waiting: number }) {
    this.#free = bounds.atOnce;
    this.#mostWaiting = bounds.waiting;
  }

  /** A turn, which must be given back with `free`; false where too many wait already or none came in time. */
  async take(deadlineMs: number): Promise<boolean> {
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    if (this.#waiting.length >= this.#mostWaiting) return false;
    return new Promise((resolve) => {
      const turn = () => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        resolve(false);
      }, deadlineMs);
      this.#waiting.push(turn);
    });
  }

  free(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}
