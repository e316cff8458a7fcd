import { setTimeout as wait } from "node:timers/promises";

/** Batches take at most one part in so many of the time, unless that would keep somebody waiting for longer than this. */
const shareOfTime = 4;
const longestPauseMs = 250;

/** It was never begun: more came than could be done in time. */
export class WaitedTooLong extends Error {
  constructor() {
    super("too many changes of the network waited before it");
  }
}

type Waiting<Item> = { item: Item; until: number; resolve: (fault: Error | null) => void };

/**
 * Collects what arrives while work is under way, and does it together next: in the order it came, one batch at a time,
 * however many come at once. Batches begin at least `pauseMs` apart, and further where they take long, so that a storm
 * does not become a storm of processes; who comes alone is not kept waiting.
 */
export class Batches<Item> {
  readonly #apply: (items: Item[]) => Promise<(Error | null)[]>;
  readonly #pauseMs: number;
  readonly #most: number;
  #waiting: Waiting<Item>[] = [];
  #running: Promise<void> | null = null;
  #begun = Number.NEGATIVE_INFINITY;
  #lastTookMs = 0;

  constructor(options: {
    /** How each came out, in the same order. */
    apply: (items: Item[]) => Promise<(Error | null)[]>;
    pauseMs: number;
    most: number;
  }) {
    this.#apply = options.apply;
    this.#pauseMs = options.pauseMs;
    this.#most = options.most;
  }

  /** Resolves with why it failed, or null. What waited longer is not applied any more. */
  submit(item: Item, longestWaitMs = Number.POSITIVE_INFINITY): Promise<Error | null> {
    return new Promise((resolve) => {
      this.#waiting.push({ item, until: performance.now() + longestWaitMs, resolve });
      this.#running ??= this.#drain();
    });
  }

  /** Everything submitted so far is done. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  async #drain(): Promise<void> {
    // What is submitted in the same turn belongs together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const pauseMs = Math.max(this.#pauseMs, Math.min(shareOfTime * this.#lastTookMs, longestPauseMs));
      const earlyMs = this.#begun + pauseMs - performance.now();
      if (earlyMs > 0) await wait(earlyMs);
      this.#begun = performance.now();
      const taken = this.#waiting.splice(0, this.#most);
      const fresh = taken.filter(({ until }) => performance.now() <= until);
      for (const stale of taken.filter((one) => !fresh.includes(one))) stale.resolve(new WaitedTooLong());
      const outcomes = await this.#outcomes(fresh.map(({ item }) => item));
      this.#lastTookMs = performance.now() - this.#begun;
      for (const [i, { resolve }] of fresh.entries()) resolve(outcomes[i] ?? null);
    }
    this.#running = null;
  }

  async #outcomes(items: Item[]): Promise<(Error | null)[]> {
    if (items.length === 0) return [];
    try {
      return await this.#apply(items);
    } catch (error) {
      const fault = error instanceof Error ? error : new Error(String(error));
      return items.map(() => fault);
    }
  }
}
