import { fileURLToPath } from "node:url";
import { newId } from "../../core/id.ts";
import type { Log } from "../../core/log.ts";
import { startWorkerProcess, type WorkerProcess } from "../worker-process.ts";
import { killLeader, killTagged } from "./orphans.ts";

/** What a spawner is told to start; see spawner.py. */
export type Order = {
  path: string;
  args: readonly string[];
  environment: Readonly<Record<string, string>>;
  account: { uid: number; gid: number } | null;
  workingDirectory: string;
  stdin: string;
  deadlineMs: number;
  maxOutputBytes: number;
};

/** `failed`: it was not started, and `code` is the system's (ENOENT). `lost`: nobody knows how it went on. */
export type SpawnedEnd =
  | { outcome: "ended"; exitStatus: number | null; signal: number | null; output: string }
  | { outcome: "timed-out" | "aborted"; output: string }
  | { outcome: "failed"; code: string }
  | { outcome: "unavailable"; message: string }
  | { outcome: "lost"; message: string };

type FromSpawner =
  | { op: "ready" }
  | { op: "started"; id: number; pid: number }
  | { op: "failed"; id: number; code: string }
  | { op: "ended"; id: number; outcome: "ended" | "timed-out" | "aborted"; output: string; status: number | null };

type Run = {
  settle: (end: SpawnedEnd) => void;
  pid: number | undefined;
};

/** Beyond a program's deadline and the killing: a spawner that is silent for so long is stuck. */
const stuckMs = 2_500;
/** One that speaks, of other programs, is busy and not stuck: ending it would end theirs. But not for ever. */
const mostLateMs = 15_000;
const source = fileURLToPath(new URL("spawner.py", import.meta.url));

/** One process that starts programs. It keeps this one from ending only while programs run. */
export class Spawner {
  readonly #process: WorkerProcess;
  readonly #runs = new Map<number, Run>();
  readonly #tag = `sallyport-${newId()}`;
  readonly #onLost: (spawner: Spawner) => void;
  #ready = false;
  #heardAt = 0;
  #lastId = 0;
  #unfinished = "";
  #unsent = "";

  constructor(options: { python: string; log: Log; onLost: (spawner: Spawner) => void }) {
    const { python, log } = options;
    this.#onLost = options.onLost;
    this.#process = startWorkerProcess({
      path: python,
      args: ["-I", "-S", "-B", source],
      account: undefined,
      workingDirectory: "/",
      supervises: false,
      onOutput: (text) => log.warn({ printed: text.trimEnd() }, "the process that starts programs complained"),
    });
    const { pipe, lost } = this.#process;
    pipe?.setEncoding("utf8");
    pipe?.on("data", (text: string) => this.#receive(text));
    pipe?.once("close", () => this.#onLost(this));
    void lost.then((how) => this.#lose(how));
    this.#process.unref();
  }

  /** Programs under way. */
  get load(): number {
    return this.#runs.size;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Resolves when the program has ended, was killed at its deadline or by `abort`, or could not be started. */
  run(order: Order, abort: AbortSignal | undefined): Promise<SpawnedEnd> {
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<SpawnedEnd>();
    const onAbort = () => this.#send({ op: "kill", id });
    const forget = this.#watch(order.deadlineMs);
    const settle = (end: SpawnedEnd) => {
      forget();
      abort?.removeEventListener("abort", onAbort);
      this.#runs.delete(id);
      if (this.#runs.size === 0) this.#process.unref();
      resolve(end);
    };
    this.#runs.set(id, { settle, pid: undefined });
    this.#process.ref();
    this.#send({ op: "run", id, tag: this.#tagOf(id), ...order });
    abort?.addEventListener("abort", onAbort);
    if (abort?.aborted) onAbort();
    return promise;
  }

  /** Ends the spawner when it has forgotten a program's deadline; what is returned calls that off. */
  #watch(deadlineMs: number): () => void {
    const latestAt = performance.now() + deadlineMs + mostLateMs;
    let over = false;
    const judge = () => {
      const now = performance.now();
      if (over) return;
      if (now - this.#heardAt > stuckMs || now > latestAt) this.#process.kill(undefined);
      else timer = setTimeout(look, stuckMs);
    };
    // Where it was this process that stood still, what the spawner said meanwhile is read first.
    const look = () => setImmediate(judge);
    let timer = setTimeout(look, deadlineMs + stuckMs);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }

  #tagOf(id: number): string {
    return `${this.#tag}-${id}`;
  }

  /** What is sent in one turn of the event loop is written at once. */
  #send(message: object): void {
    if (this.#unsent === "") setImmediate(() => this.#flush());
    this.#unsent += `${JSON.stringify(message)}\n`;
  }

  #flush(): void {
    this.#process.pipe?.write(this.#unsent);
    this.#unsent = "";
  }

  #receive(text: string): void {
    this.#heardAt = performance.now();
    const lines = (this.#unfinished + text).split("\n");
    this.#unfinished = lines.pop() ?? "";
    for (const line of lines) this.#take(JSON.parse(line) as FromSpawner);
  }

  #take(message: FromSpawner): void {
    if (message.op === "ready") {
      this.#ready = true;
      return;
    }
    const run = this.#runs.get(message.id);
    if (run === undefined) return;
    if (message.op === "started") run.pid = message.pid;
    else if (message.op === "failed") run.settle({ outcome: "failed", code: message.code });
    else run.settle(endOf(message));
  }

  /** What it started has nobody to watch it any more: it is ended from here, and has failed. */
  #lose(how: string): void {
    this.#onLost(this);
    const untold = new Set<string>();
    for (const [id, { pid, settle }] of [...this.#runs]) {
      if (pid !== undefined) void killLeader(pid);
      else untold.add(this.#tagOf(id));
      const message = `the process that starts programs ${how}`;
      settle(this.#ready ? { outcome: "lost", message } : { outcome: "unavailable", message });
    }
    void killTagged(untold);
  }
}

function endOf({ outcome, output, status }: Extract<FromSpawner, { op: "ended" }>): SpawnedEnd {
  if (outcome !== "ended") return { outcome, output };
  // As Python's subprocess tells it: a signal is negative.
  const bySignal = status !== null && status < 0;
  return { outcome, output, exitStatus: bySignal ? null : status, signal: bySignal ? -status : null };
}
