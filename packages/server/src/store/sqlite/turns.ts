import { SallyportError } from "../../core/errors.ts";

type Waiting = { start: () => void; timer: NodeJS.Timeout };

/** One at a time, in the order of asking; nobody waits longer than the deadline, and not more than `most` at once. */
export class Turns {
  readonly #limits: { deadlineMs: number; most: number };
  readonly #waiting = new Set<Waiting>();
  #taken = false;

  constructor(limits: { deadlineMs: number; most: number }) {
    this.#limits = limits;
  }

  /** How many wait for theirs. */
  get waiting(): number {
    return this.#waiting.size;
  }

  async take(): Promise<void> {
    if (!this.#taken) {
      this.#taken = true;
      return;
    }
    if (this.#waiting.size >= this.#limits.most) throw tooSlow(`${this.#waiting.size} queries wait already`);
    await new Promise<void>((start, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        reject(tooSlow(`a query has waited ${this.#limits.deadlineMs} ms`));
      }, this.#limits.deadlineMs);
      const waiting: Waiting = { start, timer };
      this.#waiting.add(waiting);
    });
  }

  give(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#taken = false;
      return;
    }
    this.#waiting.delete(next);
    clearTimeout(next.timer);
    next.start();
  }
}

function tooSlow(what: string): SallyportError {
  return new SallyportError(
    "store-unavailable",
    `The database is too slow: ${what}. Check the disk (\`iostat -x\`) and what else uses it.`,
  );
}
