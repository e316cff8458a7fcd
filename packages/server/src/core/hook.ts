/** What every kind of hook has in common. Defaults are the configuration's, already filled in. */
export type HookTerms = {
  name: string;
  events: readonly HookEvent[];
  /** Only a veto hook can stop a connection. */
  veto: boolean;
  deadlineMs: number;
  /** What a veto hook that could not answer (time-out, missing program, crash) means. */
  onFailure: "deny" | "allow";
  /** Whether a refused user sees the last line the hook printed. */
  showOutput: boolean;
  /** How many questions and tellings it has at once. */
  concurrency: number;
  /** A device that is back so soon was never gone for this hook: it hears of neither the end nor the return. 0: hears all. */
  graceMs: number;
  retry: RetryPolicy;
};

export type HookEvent = "connect" | "disconnect";

/** Backoff doubles from the first wait to the longest; after `attempts` tries a delivery is given up (`failed`). */
export type RetryPolicy = { attempts: number; firstWaitMs: number; longestWaitMs: number };

/**
 * `waiting` for its time or its turn, `running` now, `done`, or `failed`: given up, kept until somebody decides to have
 * it told again, or not (`discarded`).
 */
export const deliveryStates = ["waiting", "running", "done", "failed", "discarded"] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** One telling of one event to one hook. */
export type Delivery = {
  id: string;
  /** The same on every attempt, and for every hook told of the same event. */
  eventId: string;
  /** The ledger row (`Connection.id`). */
  sessionId: string;
  hook: string;
  event: HookEvent;
  veto: boolean;
  state: DeliveryState;
  /** Attempts begun so far. */
  attempts: number;
  /** Not before this time. */
  nextAt: string;
  createdAt: string;
  finishedAt: string | null;
  durationMs: number | null;
  /** Bounded; what the hook printed on its last attempt. */
  output: string | null;
  /** Why the last attempt failed, in words. */
  error: string | null;
  /** What this hook, which was told nothing of a short break, takes for one connection with this. */
  earlier?: EarlierPart;
};

/** The connections of a device that ended for less than a hook's grace period, added up. */
export type EarlierPart = {
  /** The ledger row whose connect the hook was told of. */
  sessionId: string;
  /** Since when traffic could flow. */
  since: string;
  bytesIn: number;
  bytesOut: number;
};

/** How one attempt to tell a hook came out. `no` is an answer; `failed` is the lack of one. */
export type Telling = {
  answer: "yes" | "no" | "failed";
  /** `missing` and `timed-out` name what an administrator must mend. */
  failure: "missing" | "timed-out" | "crashed" | "unreachable" | null;
  error: string | null;
  output: string;
  durationMs: number;
  /**
   * What the hook says of another attempt, where it says something: not before so long, a few more only (it heard and
   * will hardly ever take it), or none.
   */
  again?: { afterMs: number } | "few" | "never";
  /** What a refused person may read; left out: the last line of the output. */
  clientReason?: string | null;
};
