import type { AttemptRecord } from "../core/attempt.ts";
import { SallyportError } from "../core/errors.ts";

/** An attempt as its row. */
export type AttemptRow = { id: string; at: string; user_id: string | null; record: string };

/** Attempts that were recorded and will never reach the database. */
export type AttemptLoss = { attempts: number; reason: string };

export type AttemptOptions = {
  /** Told at most once a batch. */
  onLoss?: (loss: AttemptLoss) => void;
  /** How long a recorded attempt waits for others to be written with. */
  batchMs?: number;
  /** Between tries while the database cannot be written. */
  retryMs?: number;
  /** What may wait to be written, in records and in characters of JSON; what comes on top is lost. */
  mostWaiting?: { records: number; characters: number };
};

const BATCH = 200;

/** Recorded attempts on their way to the database. Losing any is reported, never thrown at whoever records. */
export class AttemptQueue {
  readonly #write: (rows: readonly AttemptRow[]) => Promise<void>;
  readonly #options: Required<AttemptOptions>;
  /** Oldest first; a batch leaves when it is written or lost. */
  readonly #waiting: AttemptRow[] = [];
  #characters = 0;
  /** How many ever came in: what `flush` counts by. */
  #accepted = 0;
  #lost: AttemptLoss | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #failing = false;
  #closed = false;

  constructor(write: (rows: readonly AttemptRow[]) => Promise<void>, options: AttemptOptions) {
    this.#write = write;
    this.#options = {
      onLoss: options.onLoss ?? (() => undefined),
      batchMs: options.batchMs ?? 100,
      retryMs: options.retryMs ?? 2_000,
      mostWaiting: options.mostWaiting ?? { records: 20_000, characters: 64_000_000 },
    };
  }

  /** What is not written yet, oldest first. */
  get waiting(): readonly AttemptRow[] {
    return this.#waiting;
  }

  add(attempt: AttemptRecord): void {
    const refusal = this.#closed ? "the store was closed" : this.#put(attempt);
    if (refusal !== undefined) this.#lose(1, refusal);
    if (this.#closed) this.#report();
    else this.#schedule();
  }

  /** Waits until everything added so far is written or lost. Errors: `store-unavailable`; then the rest still waits. */
  async flush(): Promise<void> {
    const goal = this.#accepted;
    while (this.#accepted - this.#waiting.length < goal) {
      this.#writing ??= this.#writeBatch().finally(() => {
        this.#writing = undefined;
      });
      await this.#writing;
    }
  }

  /**
   * Changes the record of an attempt that cannot be written now. False where it does not wait: then it is written, or was
   * lost.
   */
  async amend(id: string, change: (record: string) => string): Promise<boolean> {
    await this.flush().catch(() => undefined);
    // What is on its way to the database must not change, nor may what has arrived there.
    while (this.#writing !== undefined) await this.#writing.catch(() => undefined);
    const row = this.#waiting.find((one) => one.id === id);
    if (row === undefined) return false;
    const before = row.record.length;
    row.record = change(row.record);
    this.#characters += row.record.length - before;
    return true;
  }

  /** Writes what waits; what cannot be written now is lost. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.flush().catch((error) => {
      this.#lose(this.#waiting.length, reasonOf(error));
      this.#waiting.length = 0;
    });
    this.#report();
  }

  /** The reason where it cannot be put in. Made into JSON at once: what is written is what was recorded. */
  #put(attempt: AttemptRecord): string | undefined {
    const { records, characters } = this.#options.mostWaiting;
    try {
      const record = JSON.stringify(attempt);
      if (this.#waiting.length >= records || this.#characters + record.length > characters) {
        return "too many wait to be written";
      }
      this.#waiting.push({ id: attempt.id, at: attempt.at, user_id: attempt.userId, record });
      this.#characters += record.length;
      this.#accepted += 1;
      return undefined;
    } catch (error) {
      return `it has no form as JSON: ${reasonOf(error)}`;
    }
  }

  #schedule(): void {
    const full = this.#waiting.length >= BATCH && !this.#failing;
    if (full) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    const idleMs = full ? 0 : this.#options.batchMs;
    this.#timer ??= setTimeout(() => this.#work(), this.#failing ? this.#options.retryMs : idleMs);
  }

  async #work(): Promise<void> {
    this.#timer = undefined;
    // A failure is tried again by the next timer; what it costs in the end is reported as a loss.
    await this.flush().catch(() => undefined);
    this.#report();
    if (this.#waiting.length > 0 && !this.#closed) this.#schedule();
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#waiting.slice(0, BATCH);
    try {
      await this.#write(batch);
      this.#failing = false;
    } catch (error) {
      if (error instanceof SallyportError) {
        this.#failing = true;
        throw error;
      }
      // The database is well and does not want these: it would not want them the next time either.
      this.#lose(batch.length, reasonOf(error));
    }
    this.#waiting.splice(0, batch.length);
    for (const { record } of batch) this.#characters -= record.length;
  }

  #lose(attempts: number, reason: string): void {
    this.#lost = { attempts: (this.#lost?.attempts ?? 0) + attempts, reason };
  }

  #report(): void {
    const lost = this.#lost;
    this.#lost = undefined;
    if (lost !== undefined && lost.attempts > 0) this.#options.onLoss(lost);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
