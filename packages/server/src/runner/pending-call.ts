import type { ScriptCall, ScriptReturn } from "./runner.ts";

/** How a call came out, without what is the same for all outcomes. */
type Outcome<Return = ScriptReturn> = Return extends unknown ? Omit<Return, "printed" | "durationMs"> : never;

/** One call from the moment it is made until it is settled, once, by whoever comes first. */
export class PendingCall {
  readonly call: ScriptCall;
  readonly result: Promise<ScriptReturn>;
  /** How many searches of the directory are under way for it. */
  searches = 0;
  readonly #startedAt = performance.now();
  readonly #maxPrinted: number;
  readonly #deadline: NodeJS.Timeout;
  #printed = "";
  #resolve: ((result: ScriptReturn) => void) | undefined;

  constructor(call: ScriptCall, options: { maxPrinted: number; onDeadline: (pending: PendingCall) => void }) {
    this.call = call;
    // The worker keeps the bound, and says at the end how much it left out.
    this.#maxPrinted = options.maxPrinted + 100;
    this.result = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    // Where we ourselves were held up, the answer may be there already, and is read before this is called.
    const late = () => setImmediate(() => void (this.#resolve !== undefined && options.onDeadline(this)));
    this.#deadline = setTimeout(late, call.deadlineMs);
  }

  /** Until nobody waits for it any more. */
  get leftMs(): number {
    return Math.max(0, this.#startedAt + this.call.deadlineMs - performance.now());
  }

  addPrinted(text: string): void {
    this.#printed += text.slice(0, this.#maxPrinted - this.#printed.length);
  }

  settle(outcome: Outcome): void {
    clearTimeout(this.#deadline);
    const durationMs = Math.round((performance.now() - this.#startedAt) * 100) / 100;
    this.#resolve?.({ ...outcome, printed: this.#printed, durationMs });
    this.#resolve = undefined;
  }
}
