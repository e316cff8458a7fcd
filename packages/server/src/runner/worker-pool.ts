import type { Log } from "../core/log.ts";
import { PendingCall } from "./pending-call.ts";
import type { HostLoad, ScriptCall, ScriptFacts, ScriptHost, ScriptReturn } from "./runner.ts";
import type { Worker } from "./worker.ts";

export type PoolOptions = {
  facts: ScriptFacts;
  scriptName: string;
  /** Kept warm from the first call on. */
  workers: number;
  /** As many as may run when calls wait. */
  maxWorkers: number;
  /** At once. */
  callsPerWorker: number;
  maxWaiting: number;
  maxOutputBytes: number;
  /** Starts one more, which reports to the host. */
  startWorker: () => Worker;
  log: Log;
};

const firstBackoffMs = 100;
const longestBackoffMs = 10_000;

/** Spreads the calls of one script over its workers, and replaces workers that die or do not answer in time. */
export class WorkerPool implements ScriptHost {
  readonly facts: ScriptFacts;
  readonly #options: PoolOptions;
  readonly #callsEach: number;
  /** Those that are starting or take calls. */
  readonly #workers = new Set<Worker>();
  /** Those that take no more calls, until their process is gone. */
  readonly #retired = new Set<Worker>();
  readonly #waiting: PendingCall[] = [];
  /** Who does a call that waits no more. */
  readonly #workerOf = new WeakMap<PendingCall, Worker>();
  #called = false;
  #closed = false;
  #onIdle: (() => void) | undefined;
  /** Workers that died since one last answered. */
  #failures = 0;
  #deaths = 0;
  #lastFault: string | undefined;
  #noStartBefore = 0;
  #nextStart: NodeJS.Timeout | undefined;

  constructor(options: PoolOptions, first: Worker) {
    this.facts = options.facts;
    this.#options = options;
    this.#callsEach = options.facts.synchronous ? 1 : options.callsPerWorker;
    this.#workers.add(first);
  }

  call(call: ScriptCall): Promise<ScriptReturn> {
    const onDeadline = (pending: PendingCall) => this.#giveUp(pending);
    const pending = new PendingCall(call, { maxPrinted: this.#options.maxOutputBytes, onDeadline });
    if (this.#closed) pending.settle({ outcome: "died", message: "the script was taken out of service" });
    else if (this.#waiting.length >= this.#options.maxWaiting) pending.settle({ outcome: "too-busy" });
    else {
      this.#called = true;
      this.#waiting.push(pending);
      this.#dispatch();
    }
    return pending.result;
  }

  load(): HostLoad {
    const workers = [...this.#workers, ...this.#retired];
    const busy = workers.filter(({ underWay }) => underWay > 0).length;
    return { workers: workers.length, busy, waiting: this.#waiting.length, deaths: this.#deaths };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      this.#tellIfIdle();
    });
    clearTimeout(this.#nextStart);
    const all = [...this.#workers, ...this.#retired];
    for (const worker of all) worker.kill();
    await Promise.all(all.map((worker) => worker.ended));
  }

  onReady(): void {
    this.#lastFault = undefined;
    this.#dispatch();
  }

  onAnswer(worker: Worker): void {
    this.#failures = 0;
    if (this.#retired.has(worker) && worker.underWay === 0) worker.kill();
    this.#dispatch();
  }

  onEnd(worker: Worker): void {
    this.#retired.delete(worker);
    if (this.#workers.delete(worker) && !this.#closed) {
      this.#failures += 1;
      this.#deaths += 1;
      this.#lastFault = worker.fault?.message;
      // The first time at once; a script that dies again and again must not keep the machine busy.
      const backoffMs = this.#failures < 2 ? 0 : firstBackoffMs * 2 ** Math.min(this.#failures - 2, 10);
      this.#noStartBefore = performance.now() + Math.min(backoffMs, longestBackoffMs);
      const { log, scriptName } = this.#options;
      log.warn({ script: scriptName, fault: this.#lastFault, failures: this.#failures }, "a script's process died");
    }
    this.#dispatch();
  }

  /** The deadline of a call is over. */
  #giveUp(pending: PendingCall): void {
    const worker = this.#workerOf.get(pending);
    if (worker === undefined) {
      this.#waiting.splice(this.#waiting.indexOf(pending), 1);
      const message = this.#lastFault;
      pending.settle(message === undefined ? { outcome: "too-busy" } : { outcome: "died", message });
      this.#tellIfIdle();
      return;
    }
    worker.forget(pending);
    pending.settle({ outcome: "timed-out" });
    // Nothing can stop one call alone: the whole worker goes, as soon as the calls beside it are through.
    if (this.#workers.delete(worker)) this.#retired.add(worker);
    if (worker.underWay === 0) worker.kill();
    this.#dispatch();
  }

  #dispatch(): void {
    for (let worker = this.#roomiest(); worker && this.#waiting.length > 0; worker = this.#roomiest()) {
      const pending = this.#waiting.shift() as PendingCall;
      this.#workerOf.set(pending, worker);
      worker.run(pending);
    }
    this.#startMissing();
    this.#tellIfIdle();
  }

  /** The worker with the fewest calls, the oldest of equals: at low load all calls meet in one process. */
  #roomiest(): Worker | undefined {
    // A synchronous script must not begin a call while one that was given up may still be running.
    if (this.facts.synchronous && this.#retired.size > 0) return undefined;
    let best: Worker | undefined;
    for (const worker of this.#workers) {
      if (!worker.isReady || worker.underWay >= this.#callsEach) continue;
      if (best === undefined || rank(worker) < rank(best)) best = worker;
    }
    return best;
  }

  #startMissing(): void {
    if (this.#closed && this.#waiting.length === 0) return;
    while (this.#workers.size < this.#wanted()) {
      const waitMs = this.#noStartBefore - performance.now();
      if (waitMs > 0) {
        this.#nextStart ??= setTimeout(() => {
          this.#nextStart = undefined;
          this.#startMissing();
        }, waitMs);
        return;
      }
      this.#workers.add(this.#options.startWorker());
    }
  }

  #wanted(): number {
    if (this.facts.synchronous || !this.#called) return 1;
    let calls = this.#waiting.length;
    for (const worker of this.#workers) calls += worker.isSilent ? this.#callsEach : worker.underWay;
    const withRoom = Math.ceil((calls + this.#callsEach / 4) / this.#callsEach);
    return Math.min(Math.max(withRoom, this.#options.workers), this.#options.maxWorkers);
  }

  #tellIfIdle(): void {
    if (this.#onIdle === undefined || this.#waiting.length > 0) return;
    for (const worker of [...this.#workers, ...this.#retired]) if (worker.underWay > 0) return;
    this.#onIdle();
  }
}

function rank(worker: Worker): number {
  return worker.underWay + (worker.isSilent ? 1_000_000 : 0);
}
