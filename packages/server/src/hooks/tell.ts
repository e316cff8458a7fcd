import type { ConnectionEvent } from "@sallyport/protocol";
import type { HookTerms, Telling } from "../core/hook.ts";

/**
 * Tells one hook of one event, once. What each kind of hook makes of its configuration. It answers within the deadline
 * or soon after; aborting makes it give up at once.
 */
export type Tell = (event: ConnectionEvent, options: TellOptions) => Promise<Telling>;

export type TellOptions = {
  deadlineMs: number;
  abort: AbortSignal;
  /** Somebody wants to know now: also where a kind would rather leave the other side alone for a while. */
  force?: boolean;
};

/** A hook as the configuration has it, ready to be told. */
export type BoundHook = {
  terms: HookTerms;
  tell: Tell;
  /** What it is, for people: `script /usr/local/bin/fw.sh`. */
  target: string;
  /** How many deliveries it can take now, beside its `concurrency`; without it, any number. */
  room?: () => number;
};

/** How much longer a kind may take to say that its deadline is over, or that it gave up. */
const graceMs = { deadline: 5_000, abort: 1_500 };

/** Tells a hook, whatever its kind does: an exception is a crash, and silence is a time-out. Never rejects. */
export async function tellSafely(hook: BoundHook, event: ConnectionEvent, options: TellOptions): Promise<Telling> {
  const begun = performance.now();
  const failed = (failure: NonNullable<Telling["failure"]>, error: string): Telling => {
    const durationMs = Math.round(performance.now() - begun);
    return { answer: "failed", failure, error, output: "", durationMs };
  };
  const { promise: silence, resolve: giveUp } = Promise.withResolvers<Telling>();
  const timers = [
    setTimeout(
      () => giveUp(failed("timed-out", `no answer within ${options.deadlineMs} ms`)),
      options.deadlineMs + graceMs.deadline,
    ),
  ];
  const aborted = () => {
    timers.push(setTimeout(() => giveUp(failed("crashed", "ended before it answered")), graceMs.abort));
  };
  options.abort.addEventListener("abort", aborted);
  if (options.abort.aborted) aborted();
  const answer = Promise.resolve()
    .then(() => hook.tell(event, options))
    .catch((error: unknown) => failed("crashed", error instanceof Error ? error.message : String(error)));
  try {
    return await Promise.race([answer, silence]);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    options.abort.removeEventListener("abort", aborted);
  }
}
