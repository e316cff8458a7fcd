import type { Log } from "../core/log.ts";
import { type FromWorker, MessageReader, type ToWorker } from "./messages.ts";
import type { PendingCall } from "./pending-call.ts";
import type { ScriptFacts, ScriptFault } from "./runner.ts";
import { answerSearch } from "./searches.ts";
import type { WorkerProcess } from "./worker-process.ts";

export type WorkerOptions = {
  scriptName: string;
  /** Named where it fails. */
  interpreter: string;
  start: (onOutput: (text: string) => void) => WorkerProcess;
  /** What the process is told first: the script, and all that it needs to run it. */
  orders: object;
  loadDeadlineMs: number;
  log: Log;
  onReady: (worker: Worker) => void;
  onAnswer: (worker: Worker) => void;
  /** Its process is gone, with everything that it had started. */
  onEnd: (worker: Worker) => void;
};

type Loaded = { facts: ScriptFacts } | { fault: ScriptFault };

/** After so long a silence a worker is asked whether it is there; if it is silent as long again, it gets no calls. */
const silenceMs = 250;

/** One process that runs one version of one script. */
export class Worker {
  readonly loaded: Promise<Loaded>;
  /** Resolves when its process is gone, with everything that it had started. */
  readonly ended: Promise<unknown>;
  readonly #options: WorkerOptions;
  readonly #process: WorkerProcess;
  readonly #calls = new Map<number, PendingCall>();
  #state: "starting" | "ready" | "ending" = "starting";
  #settleLoaded: ((loaded: Loaded) => void) | undefined;
  #fault: ScriptFault | undefined;
  #scriptPid: number | undefined;
  #lastId = 0;
  #unsent = "";
  #watch: NodeJS.Timeout | undefined;
  #heardAt = 0;
  #askedAt: number | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { log, scriptName: script } = options;
    this.#process = options.start((text) => {
      const printed = text.trimEnd();
      if (printed !== "") log.info({ script, worker: this.#process.pid, printed }, "a script printed");
    });
    this.loaded = new Promise((resolve) => {
      this.#settleLoaded = resolve;
    });
    this.#process.lost.then((how) => {
      this.#lose(how);
      // A script may close the pipe and live on.
      this.#process.kill(this.#scriptPid);
    });
    this.ended = this.#process.ended.then((how) => {
      this.#lose(how);
      options.onEnd(this);
    });
    this.#listen();
    this.#sendOrders();
  }

  /** Whether it takes calls. */
  get isReady(): boolean {
    return this.#state === "ready";
  }

  /** Calls that nobody has settled yet. */
  get underWay(): number {
    return this.#calls.size;
  }

  /** It has been asked and does not answer: something in the script keeps all its threads from running. */
  get isSilent(): boolean {
    return this.#askedAt !== undefined && performance.now() - this.#askedAt > silenceMs;
  }

  /** Why it could not be loaded. */
  get fault(): ScriptFault | undefined {
    return this.#fault;
  }

  run(pending: PendingCall): void {
    this.#lastId += 1;
    this.#calls.set(this.#lastId, pending);
    const { arguments: given, directory, state, crstate, response } = pending.call;
    this.#send({
      op: "call",
      id: this.#lastId,
      arguments: given,
      directory: directory?.uname_attr ?? null,
      deadlineMs: Math.round(pending.leftMs),
      state: state ?? null,
      crstate: crstate ?? null,
      response: response ?? null,
    });
    this.#watch ??= setInterval(() => this.#ask(), silenceMs);
  }

  forget(settled: PendingCall): void {
    for (const [id, pending] of this.#calls) if (pending === settled) this.#calls.delete(id);
  }

  /** Ends the process and everything it started, at once. Calls under way are lost. */
  kill(): void {
    if (this.#state === "ending") return;
    this.#state = "ending";
    this.#process.kill(this.#scriptPid);
  }

  #listen(): void {
    const reader = new MessageReader();
    this.#process.pipe?.on("data", (chunk: Buffer) => {
      try {
        for (const message of reader.read(chunk)) this.#receive(message);
      } catch (error) {
        const { log, scriptName: script } = this.#options;
        log.error({ script, error }, "a script spoiled the pipe of its process, which is ended");
        this.kill();
      }
    });
  }

  #sendOrders(): void {
    const { loadDeadlineMs } = this.#options;
    const orders = Buffer.from(JSON.stringify(this.#options.orders));
    this.#process.pipe?.write(Buffer.concat([Buffer.from(orders.length.toString().padStart(10, "0")), orders]));
    const late = setTimeout(() => {
      const message = `the script was not loaded within ${loadDeadlineMs / 1000} s: what stands outside of its functions must not wait`;
      this.#settleAsFault({ message, line: null, column: null });
    }, loadDeadlineMs);
    this.loaded.then(() => clearTimeout(late));
  }

  #settleAsFault(fault: ScriptFault): void {
    if (this.#settleLoaded === undefined) return;
    this.#fault = fault;
    this.#settleLoaded({ fault });
    this.#settleLoaded = undefined;
    this.kill();
  }

  /** What is sent in one turn of the event loop is written at once. */
  #send(message: ToWorker): void {
    if (this.#unsent === "") setImmediate(() => this.#flush());
    this.#unsent += `${JSON.stringify(message)}\n`;
  }

  #flush(): void {
    this.#process.pipe?.write(this.#unsent);
    this.#unsent = "";
  }

  #ask(): void {
    if (this.#calls.size === 0) {
      clearInterval(this.#watch);
      this.#watch = undefined;
    } else if (this.#askedAt === undefined && performance.now() - this.#heardAt > silenceMs) {
      this.#askedAt = performance.now();
      this.#send({ op: "ping" });
    }
  }

  #receive(message: FromWorker): void {
    this.#heardAt = performance.now();
    this.#askedAt = undefined;
    switch (message.op) {
      case "pong":
        break;
      case "fault":
        this.#settleAsFault({ message: message.message, line: message.line, column: message.column });
        break;
      case "loaded":
        this.#becomeReady(message);
        break;
      case "search":
        answerSearch(this.#calls.get(message.id), message.query, (answer) =>
          this.#send({ op: "found", search: message.search, ...answer }),
        );
        break;
      case "printed":
        this.#calls.get(message.id)?.addPrinted(message.text);
        break;
      default:
        this.#settleCall(message);
    }
  }

  #becomeReady({ pid, facts }: { pid: number; facts: ScriptFacts }): void {
    if (this.#settleLoaded === undefined) return;
    this.#scriptPid = pid;
    this.#state = "ready";
    this.#settleLoaded({ facts });
    this.#settleLoaded = undefined;
    this.#options.onReady(this);
  }

  #settleCall(message: Extract<FromWorker, { op: Answer | "refused" }>): void {
    const pending = this.#calls.get(message.id);
    if (pending === undefined) return;
    this.#calls.delete(message.id);
    if (message.op === "refused") {
      pending.settle({ outcome: "died", message: `the script's process can take no more calls: ${message.message}` });
    } else {
      pending.addPrinted(message.printed);
      pending.settle(outcomeOf(message));
    }
    this.#options.onAnswer(this);
  }

  /** Whoever still waits for an answer gets none. */
  #lose(how: string): void {
    this.#state = "ending";
    clearInterval(this.#watch);
    this.#settleAsFault({
      message: `${this.#options.interpreter} ${how} while it loaded the script`,
      line: null,
      column: null,
    });
    const lost = [...this.#calls.values()];
    this.#calls.clear();
    for (const pending of lost) pending.settle({ outcome: "died", message: `the script's process ${how}` });
  }
}

type Answer = "returned" | "raised" | "unsendable" | "timed-out";

function outcomeOf(message: Extract<FromWorker, { op: Answer }>) {
  if (message.op === "timed-out") return { outcome: message.op };
  if (message.op === "unsendable") return { outcome: message.op, message: message.message };
  if (message.op === "raised") {
    return { outcome: message.op, message: message.message, traceback: message.traceback };
  }
  const { value, state, challenge = null, crstate = null } = message;
  return { outcome: message.op, value, state, challenge, crstate };
}
