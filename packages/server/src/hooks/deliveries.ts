import { setTimeout as wait } from "node:timers/promises";
import type { Delivery, RetryPolicy, Telling } from "../core/hook.ts";
import { followed, type Log } from "../core/log.ts";
import type { DeliveryStore, Store } from "../store/store.ts";
import { connectionEvent, type NodeFacts } from "./event.ts";
import type { HookSlots } from "./slots.ts";
import { type BoundHook, tellSafely } from "./tell.ts";

type Options = {
  hooks: () => readonly BoundHook[];
  store: Pick<Store, "ledger" | "deliveries">;
  node: NodeFacts;
  slots: HookSlots;
  /** Deliveries under way at once, over all hooks. */
  atOnce: number;
  clock: () => number;
  log: Log;
};

type Result = Parameters<DeliveryStore["finish"]>[1];

const leaseMarginMs = 60_000;
const longestSleepMs = 30_000;
const storeRetryMs = { first: 250, longest: 15_000 };
/** When something is due that cannot be taken yet: how often it is looked for. */
const blockedRetryMs = { first: 100, longest: 5_000 };
const abortedWaitMs = 3_000;
/** Attempts for what a hook heard and will hardly ever take. */
const fewAttempts = 3;

/**
 * Tells hooks what is waiting in the store: observers' connects and everybody's disconnects. At least once, with the
 * same event id each time; never a disconnect before its connect (the store sees to that). A broken store delays
 * deliveries and loses none: what was not written down is told again when its lease has run out.
 */
export class DeliveryWorker {
  readonly #options: Options;
  readonly #running = new Map<string, Promise<void>>();
  readonly #perHook = new Map<string, number>();
  readonly #abort = new AbortController();
  #state: "new" | "started" | "stopping" | "stopped" = "new";
  #pumping: Promise<void> | undefined;
  #again = false;
  #timer: NodeJS.Timeout | undefined;
  #storeFailures = 0;
  #timesBlocked = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** To be called before anybody is let in: whatever stands as running was left by a process that is dead. */
  async start(): Promise<void> {
    const abandoned = await this.#options.store.deliveries.abandonRunning(this.#now());
    if (abandoned > 0) this.#options.log.info({ abandoned }, "deliveries that were under way will be told again");
    this.#state = "started";
    this.wake();
  }

  /** Something may be due: look now. */
  wake(): void {
    if (this.#state !== "started") return;
    this.#again = true;
    this.#pumping ??= this.#pump().finally(() => {
      this.#pumping = undefined;
      if (this.#again) this.wake();
    });
  }

  /**
   * Goes on with what is due until nothing is or the time is over, then ends what is still under way. Whatever is left
   * stays in the store for the next start.
   */
  async stop(deadlineMs: number): Promise<void> {
    if (this.#state === "stopped") return;
    const end = performance.now() + deadlineMs;
    if (this.#state === "started") this.#state = "stopping";
    clearTimeout(this.#timer);
    await this.#pumping;
    while (this.#state === "stopping") {
      const remainingMs = end - performance.now();
      const taken = remainingMs > 0 ? await this.#takeDue().catch(() => 0) : 0;
      if ((taken === 0 && this.#running.size === 0) || remainingMs <= 0) break;
      await settledOr(Promise.race(this.#running.values()), remainingMs);
    }
    this.#state = "stopped";
    this.#abort.abort();
    await settledOr(Promise.all(this.#running.values()), abortedWaitMs);
  }

  async #pump(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      let taken = 0;
      while (this.#again && this.#state === "started") {
        this.#again = false;
        taken += await this.#takeDue();
      }
      const sleepMs = await this.#sleepMs(taken);
      this.#storeFailures = 0;
      this.#wakeIn(sleepMs);
    } catch (error) {
      const retryMs = doubling(storeRetryMs, this.#storeFailures++);
      this.#options.log.warn({ error, retryMs }, "waiting deliveries could not be read; trying again");
      this.#wakeIn(retryMs);
    }
  }

  #wakeIn(delayMs: number): void {
    if (this.#state !== "started") return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.wake(), delayMs);
    this.#timer.unref();
  }

  async #sleepMs(taken: number): Promise<number> {
    const next = await this.#options.store.deliveries.nextDueAt();
    const untilNextMs = next === undefined ? longestSleepMs : Date.parse(next) - this.#options.clock();
    if (untilNextMs > 0 || taken > 0) this.#timesBlocked = 0;
    if (untilNextMs > 0) return Math.min(untilNextMs, longestSleepMs);
    // Due, but behind its connect or its hook's bound: an end of those wakes us; this is for what we do not see.
    return doubling(blockedRetryMs, this.#timesBlocked++);
  }

  /** Begins what is due as far as the bounds allow, and says how many that were. */
  async #takeDue(): Promise<number> {
    const { hooks, store, atOnce, clock } = this.#options;
    const longestDeadlineMs = Math.max(0, ...hooks().map(({ terms }) => terms.deadlineMs));
    for (let taken = 0; ; ) {
      const room = Object.fromEntries(hooks().map((hook) => [hook.terms.name, this.#roomOf(hook)]));
      const busy = Object.keys(room).filter((hook) => room[hook] === 0);
      const limit = atOnce - this.#running.size;
      if (limit <= 0) return taken;
      const leaseUntil = new Date(clock() + longestDeadlineMs + leaseMarginMs).toISOString();
      const due = await store.deliveries.takeDue({ now: this.#now(), leaseUntil, limit, busy, room });
      if (due.length === 0) return taken;
      for (const delivery of due) this.#begin(delivery, leaseUntil);
      taken += due.length;
    }
  }

  /** Half of a veto's turns are kept for questions: nobody shall wait for a turn because ends are slow to be told. */
  #roomOf(hook: BoundHook): number {
    const { name, veto, concurrency } = hook.terms;
    const most = veto ? Math.max(1, Math.floor(concurrency / 2)) : concurrency;
    const own = Math.min(most - (this.#perHook.get(name) ?? 0), this.#options.slots.of(hook).free);
    return Math.max(0, Math.min(own, hook.room?.() ?? own));
  }

  #begin(delivery: Delivery, leaseUntil: string): void {
    const { id, hook } = delivery;
    this.#perHook.set(hook, (this.#perHook.get(hook) ?? 0) + 1);
    const configured = this.#options.hooks().find(({ terms }) => terms.name === hook);
    const slots = configured && this.#options.slots.of(configured);
    slots?.claim();
    const done = this.#deliver(delivery, leaseUntil).finally(() => {
      slots?.giveBack();
      this.#running.delete(id);
      const left = (this.#perHook.get(hook) ?? 1) - 1;
      if (left > 0) this.#perHook.set(hook, left);
      else this.#perHook.delete(hook);
      this.wake();
    });
    this.#running.set(id, done);
  }

  async #deliver(delivery: Delivery, leaseUntil: string): Promise<void> {
    const { log } = this.#options;
    const result = await this.#attempt(delivery).catch((error: unknown): Result => {
      log.warn({ error, delivery: delivery.id }, "a delivery could not be attempted; it will be tried again");
      const retryAt = new Date(this.#options.clock() + storeRetryMs.longest).toISOString();
      return { at: this.#now(), state: { retryAt }, durationMs: 0, output: "", error: String(error) };
    });
    const { id, hook, event: tells, eventId: event, sessionId: connection } = delivery;
    const fields = { connection, event, delivery: id, hook, tells };
    if (result.state === "failed") log.error({ ...fields, error: result.error }, "a delivery was given up");
    else if (result.error !== null) log.warn({ ...fields, error: result.error }, "a delivery failed");
    await this.#record(delivery.id, result, leaseUntil);
  }

  async #attempt(delivery: Delivery): Promise<Result> {
    const { hooks, store, node } = this.#options;
    const untold = { at: this.#now(), durationMs: 0, output: "", error: null };
    const hook = hooks().find(({ terms }) => terms.name === delivery.hook);
    if (hook === undefined) {
      const error = `hook ${delivery.hook} is no longer configured; configure it again and retry this delivery`;
      return { ...untold, state: "failed", error };
    }
    // A hook for disconnects alone: its connect only stands for the admission, so that the end is queued for it.
    if (!hook.terms.events.includes(delivery.event)) return { ...untold, state: "done" };
    const connection = await store.ledger.get(delivery.sessionId);
    if (connection === undefined)
      return { ...untold, state: "failed", error: `connection ${delivery.sessionId} is no longer in the ledger` };
    const { event, eventId, attempts: attempt, earlier } = delivery;
    const told = connectionEvent({ connection, event, eventId, attempt, node, ...(earlier && { earlier }) });
    const telling = await tellSafely(hook, told, {
      deadlineMs: hook.terms.deadlineMs,
      abort: this.#abort.signal,
    });
    const { answer, durationMs } = telling;
    const fields = { ...followed(connection), event: eventId, delivery: delivery.id, hook: delivery.hook };
    this.#options.log.info({ ...fields, tells: event, answer, attempts: attempt, durationMs }, "told a hook");
    return this.#resultOf(telling, delivery, hook.terms.retry);
  }

  #resultOf(telling: Telling, delivery: Delivery, retry: RetryPolicy): Result {
    const { durationMs, output, answer } = telling;
    const at = this.#now();
    if (answer === "yes") return { at, state: "done", durationMs, output, error: null };
    const error = telling.error ?? telling.failure ?? "the hook did not say yes";
    // Ended by us: no fault of the hook's.
    if (this.#abort.signal.aborted) return { at, state: { retryAt: at }, durationMs, output, error };
    const { again } = telling;
    const most = { never: 0, few: Math.min(fewAttempts, retry.attempts), later: retry.attempts };
    if (delivery.attempts >= most[typeof again === "string" ? again : "later"])
      return { at, state: "failed", durationMs, output, error };
    const notBeforeMs = typeof again === "object" ? again.afterMs : 0;
    const waitMs = Math.max(backoffMs(retry, delivery.attempts), notBeforeMs);
    const retryAt = new Date(this.#options.clock() + waitMs).toISOString();
    return { at, state: { retryAt }, durationMs, output, error };
  }

  async #record(id: string, result: Result, leaseUntil: string): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.#options.store.deliveries.finish(id, result);
      } catch (error) {
        const retryMs = doubling(storeRetryMs, failures);
        this.#options.log.warn({ error, delivery: id, retryMs }, "the outcome of a delivery could not be written down");
        if (this.#state === "stopped" || this.#options.clock() + retryMs >= Date.parse(leaseUntil)) return;
        await wait(retryMs);
      }
    }
  }

  #now(): string {
    return new Date(this.#options.clock()).toISOString();
  }
}

/** Doubles from the first wait to the longest; up to a quarter less, so that many do not come back at once. */
export function backoffMs(retry: RetryPolicy, attempts: number): number {
  const whole = doubling({ first: retry.firstWaitMs, longest: retry.longestWaitMs }, attempts - 1);
  return Math.round(whole * (1 - Math.random() / 4));
}

function doubling(waits: { first: number; longest: number }, times: number): number {
  return Math.min(waits.longest, waits.first * 2 ** Math.min(times, 30));
}

async function settledOr(promise: Promise<unknown>, waitMs: number): Promise<void> {
  const timeOut = new AbortController();
  const settled = promise.then(
    () => {},
    () => {},
  );
  await Promise.race([settled, wait(Math.max(0, waitMs), undefined, { signal: timeOut.signal }).catch(() => {})]);
  timeOut.abort();
}
