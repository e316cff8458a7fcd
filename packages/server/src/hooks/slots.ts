/** A bound on how much runs at once, first come first served, with a bound on how many wait for their turn. */
export class Slots {
  readonly #mostWaiting: number;
  #atOnce: number;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(bounds: { atOnce: number; waiting: number }) {
    this.#atOnce = bounds.atOnce;
    this.#mostWaiting = bounds.waiting;
  }

  /** How many could begin now without waiting. */
  get free(): number {
    return this.#waiting.length > 0 ? 0 : Math.max(0, this.#atOnce - this.#taken);
  }

  /** From now on; what runs beyond it ends in its own time. */
  set atOnce(atOnce: number) {
    this.#atOnce = atOnce;
    this.#letIn();
  }

  /** A turn, which must be given back with `giveBack`; false where too many wait already or none came in time. */
  async take(deadlineMs: number): Promise<boolean> {
    if (this.free > 0) {
      this.#taken += 1;
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

  /** A turn now, also beyond the bound: for who has asked for `free` before. */
  claim(): void {
    this.#taken += 1;
  }

  giveBack(): void {
    this.#taken -= 1;
    this.#letIn();
  }

  #letIn(): void {
    while (this.#taken < this.#atOnce && this.#waiting.length > 0) {
      this.#taken += 1;
      this.#waiting.shift()?.();
    }
  }
}

/** Each hook's own bound, so that one that hangs holds up nobody but itself; kept over a reload. */
export class HookSlots {
  readonly #mostWaiting: number;
  readonly #byName = new Map<string, Slots>();

  constructor(bounds: { waiting: number }) {
    this.#mostWaiting = bounds.waiting;
  }

  of({ terms: { name, concurrency } }: { terms: { name: string; concurrency: number } }): Slots {
    const known = this.#byName.get(name);
    if (known === undefined) {
      const made = new Slots({ atOnce: concurrency, waiting: this.#mostWaiting });
      this.#byName.set(name, made);
      return made;
    }
    known.atOnce = concurrency;
    return known;
  }
}
