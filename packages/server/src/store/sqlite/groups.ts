import type { SqliteEngine } from "./engine.ts";

export type Outcome = { result: unknown } | { error: unknown };

/** A group ends when nobody waits any more, or here: who came first is not kept waiting by those who come after. */
const mostInGroup = 64;
const longestGroupMs = 10;

/**
 * Does calls in the order they come, and makes those that came close together durable with one commit: waiting for the
 * disk is most of what a short transaction costs. Nobody is answered before the commit that makes the answer true.
 */
export class Groups<Call> {
  readonly #engine: Pick<SqliteEngine, "call" | "commit" | "unsettled">;
  readonly #work: (call: Call) => Promise<unknown>;
  readonly #done: (group: readonly { call: Call; outcome: Outcome }[]) => void;
  /** SQLite has undone the whole group for the fault of one call (a full disk). */
  #undone = false;

  constructor(options: {
    engine: Pick<SqliteEngine, "call" | "commit" | "unsettled">;
    work: (call: Call) => Promise<unknown>;
    /** Called once a group, after its commit. */
    done: (group: readonly { call: Call; outcome: Outcome }[]) => void;
  }) {
    this.#engine = options.engine;
    this.#work = options.work;
    this.#done = options.done;
  }

  /** Until no call is left; true where the last one was `final`: nothing after it is done. */
  async drain(next: () => Call | undefined, final: (call: Call) => boolean): Promise<boolean> {
    for (let call = next(); call !== undefined; call = next()) {
      const calls = await this.#group(call, next, final);
      if (calls.some(final)) return true;
    }
    return false;
  }

  async #group(first: Call, next: () => Call | undefined, final: (call: Call) => boolean): Promise<Call[]> {
    const begun = performance.now();
    const [calls, outcomes]: [Call[], Outcome[]] = [[], []];
    for (let call: Call | undefined = first; call !== undefined; ) {
      calls.push(call);
      outcomes.push(await this.#perform(call));
      const full = calls.length >= mostInGroup || performance.now() - begun >= longestGroupMs;
      call = full || this.#undone || final(call) ? undefined : next();
    }
    const settled = this.#commit() ? outcomes : await this.#oneByOne(calls);
    this.#done(calls.map((call, i) => ({ call, outcome: settled[i] as Outcome })));
    return calls;
  }

  async #perform(call: Call): Promise<Outcome> {
    const before = this.#engine.unsettled;
    try {
      return { result: await this.#engine.call(() => this.#work(call)) };
    } catch (error) {
      if (before && !this.#engine.unsettled) this.#undone = true;
      return { error };
    }
  }

  #commit(): boolean {
    if (this.#undone) return false;
    try {
      this.#engine.commit();
      return true;
    } catch {
      return false;
    }
  }

  /** Nothing of the group is left: each by itself, so that the fault is only that call's whose it is. */
  async #oneByOne(calls: readonly Call[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const call of calls) {
      const outcome = await this.#perform(call);
      this.#undone = false;
      try {
        this.#engine.commit();
        outcomes.push(outcome);
      } catch (error) {
        outcomes.push({ error });
      }
    }
    return outcomes;
  }
}
