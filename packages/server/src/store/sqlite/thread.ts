import { Worker } from "node:worker_threads";
import { SallyportError } from "../../core/errors.ts";
import { faultOf } from "./faults.ts";
import type { Opening, Request, Response, Rows, Statement } from "./wire.ts";

type Call = { resolve: (rows: Rows) => void; reject: (error: Error) => void };
type Asking = Request extends infer R ? (R extends Request ? Omit<R, "id"> : never) : never;

/** Our end of the thread that has the database open. When the thread is gone, every call fails `store-unavailable`. */
export class SqliteThread {
  readonly #file: string;
  readonly #worker: Worker;
  readonly #calls = new Map<number, Call>();
  readonly #gone: Promise<void>;
  #lastId = 0;
  #dead: SallyportError | undefined;
  #inTransaction = false;

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
    worker.on("message", (response: Response) => this.#answered(response));
  }

  static async open(opening: Opening): Promise<SqliteThread> {
    // An empty environment and argument list: the thread needs nothing of the daemon's.
    const worker = new Worker(new URL("./worker.ts", import.meta.url), {
      name: "sqlite",
      workerData: opening,
      env: {},
      argv: [],
      execArgv: [],
    });
    const thread = new SqliteThread(opening.file, worker);
    const response = await new Promise<Response | undefined>((resolve) => {
      worker.once("message", resolve);
      worker.once("exit", () => resolve(undefined));
    });
    if (response !== undefined && "opened" in response && response.opened) return thread;
    await worker.terminate();
    if (response !== undefined && "failure" in response) throw faultOf(opening.file, response.failure);
    throw thread.#dead ?? deadThread(opening.file, null);
  }

  /** Runs the statements one after the other; resolves with the last one's rows. */
  run(statements: readonly Statement[]): Promise<Rows> {
    return this.#ask({ statements });
  }

  commit(): Promise<Rows> {
    return this.#ask({ commit: true });
  }

  rollback(): Promise<Rows> {
    return this.#ask({ rollback: true });
  }

  get alive(): boolean {
    return this.#dead === undefined;
  }

  get dead(): SallyportError | undefined {
    return this.#dead;
  }

  /** Whether a transaction was open after what failed last. */
  get inTransaction(): boolean {
    return this.alive && this.#inTransaction;
  }

  /** Closes the database and ends the thread. */
  async close(): Promise<void> {
    try {
      if (this.alive) await this.#ask({ close: true });
    } finally {
      await this.#gone;
    }
  }

  /** Ends the thread after the statement it is at; what it was asked meanwhile fails. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
    await this.#gone;
  }

  #ask(asking: Asking): Promise<Rows> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#worker.postMessage({ id, ...asking } satisfies Request);
      this.#calls.set(id, { resolve, reject });
    });
  }

  #answered(response: Response): void {
    if ("opened" in response) return;
    const call = this.#calls.get(response.id);
    this.#calls.delete(response.id);
    if ("result" in response) call?.resolve(response.result);
    else {
      this.#inTransaction = response.inTransaction;
      call?.reject(faultOf(this.#file, response.failure));
    }
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
