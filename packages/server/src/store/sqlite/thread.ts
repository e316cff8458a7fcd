import { Worker } from "node:worker_threads";
import { isErrorCode, SallyportError } from "../../core/errors.ts";
import { faultOf } from "./faults.ts";
import type { Failure, Opening, Request, Response, Shape } from "./wire.ts";

type Call = { resolve: (result: unknown) => void; reject: (error: Error) => void };
type Asking = Request extends infer R ? (R extends Request ? Omit<R, "id"> : never) : never;

/** Our end of the thread that has the database open. When the thread is gone, every call fails `store-unavailable`. */
export class SqliteThread {
  /** What can be asked of it. */
  shape: Shape = {};
  readonly #file: string;
  readonly #worker: Worker;
  readonly #calls = new Map<number, Call>();
  readonly #gone: Promise<void>;
  #lastId = 0;
  #unsent: Request[] = [];
  #dead: SallyportError | undefined;

  private constructor(file: string, worker: Worker) {
    this.#file = file;
    this.#worker = worker;
    this.#gone = new Promise((resolve) => {
      worker.once("exit", () => {
        this.#fail(deadThread(file, null));
        resolve();
      });
    });
    worker.on("error", (error) => this.#fail(deadThread(file, error)));
    worker.on("message", (responses: Response[]) => {
      for (const response of responses) this.#answered(response);
    });
  }

  static async open(opening: Opening): Promise<SqliteThread> {
    // The thread needs nothing of the daemon's but the place where compiled code is kept, if there is one
    // (https://nodejs.org/api/module.html#module-compile-cache): then types are not taken out of its files again.
    const { NODE_COMPILE_CACHE } = process.env;
    const worker = new Worker(new URL("./worker.ts", import.meta.url), {
      name: "sqlite",
      workerData: opening,
      env: NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE },
      argv: [],
      execArgv: [],
    });
    const thread = new SqliteThread(opening.file, worker);
    const response = await new Promise<Response | undefined>((resolve) => {
      worker.once("message", ([first]: Response[]) => resolve(first));
      worker.once("exit", () => resolve(undefined));
    });
    if (response !== undefined && "opened" in response && response.opened) {
      thread.shape = response.shape;
      return thread;
    }
    await worker.terminate();
    if (response !== undefined && "failure" in response) throw thread.#errorOf(response.failure);
    throw thread.#dead ?? deadThread(opening.file, null);
  }

  /** Durable when it resolves. */
  call(asking: Omit<Extract<Asking, { noun: string }>, "id">): Promise<unknown> {
    return this.#ask(asking);
  }

  get alive(): boolean {
    return this.#dead === undefined;
  }

  /** How many calls have not been answered. */
  get waiting(): number {
    return this.#calls.size;
  }

  /** Does what was asked before, closes the database and ends the thread. */
  async close(): Promise<void> {
    try {
      if (this.alive) await this.#ask({ close: true });
    } finally {
      await this.#gone;
    }
  }

  #ask(asking: Asking): Promise<unknown> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    this.#lastId += 1;
    const id = this.#lastId;
    if (this.#unsent.length === 0) setImmediate(() => this.#send());
    this.#unsent.push({ id, ...asking });
    return new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject }));
  }

  /** What is asked in one turn of the event loop is sent at once: to wake a thread costs more than a call's own bytes. */
  #send(): void {
    const requests = this.#unsent;
    this.#unsent = [];
    try {
      this.#worker.postMessage(requests);
    } catch {
      // One of them cannot be copied: only that one fails.
      for (const request of requests) this.#sendAlone(request);
    }
  }

  #sendAlone(request: Request): void {
    try {
      this.#worker.postMessage([request]);
    } catch (error) {
      this.#calls.get(request.id)?.reject(error as Error);
      this.#calls.delete(request.id);
    }
  }

  #answered(response: Response): void {
    if ("opened" in response) return;
    const call = this.#calls.get(response.id);
    this.#calls.delete(response.id);
    if ("result" in response) call?.resolve(response.result);
    else call?.reject(this.#errorOf(response.failure));
  }

  #errorOf(failure: Failure): Error {
    const { ours, message } = failure;
    return ours !== undefined && isErrorCode(ours) ? new SallyportError(ours, message) : faultOf(this.#file, failure);
  }

  #fail(error: SallyportError): void {
    this.#dead ??= error;
    for (const call of this.#calls.values()) call.reject(this.#dead);
    this.#calls.clear();
  }
}

function deadThread(file: string, error: unknown): SallyportError {
  const why = error instanceof Error ? `: ${error.message}` : "";
  return new SallyportError(
    "store-unavailable",
    `The thread that has the database ${file} open has ended${why}. It is started again for the next query.`,
    { cause: error },
  );
}
