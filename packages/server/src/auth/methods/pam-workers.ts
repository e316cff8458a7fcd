import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { PamAnswer, PamQuestion } from "./pam-answers.ts";
import { killTree } from "./process-tree.ts";
import { ServerUnreachable } from "./servers.ts";

const program = fileURLToPath(new URL("./pam-worker.ts", import.meta.url));
const idleMs = 10 * 60_000;
/** Modules may leak: a worker that has answered so many is replaced by a fresh one. */
const mostAnswers = 200;
const mostErrorBytes = 2000;

/**
 * A few warm processes that ask PAM, each one login at a time; they are started as they are needed. A worker that does
 * not answer by its deadline is killed with everything it started. Rejects with `ServerUnreachable` when it is killed,
 * dies, or no worker is free in time.
 */
export type PamWorkers = {
  ask(question: PamQuestion, ms: number): Promise<PamAnswer>;
  close(): Promise<void>;
};

export function createPamWorkers(options: { most: number }): PamWorkers {
  const all = new Set<Worker>();
  const idle: Worker[] = [];
  const queue: (() => void)[] = [];
  let closed = false;

  const take = async (ms: number): Promise<Worker> => {
    const warm = idle.pop();
    if (warm) return warm;
    if (all.size < options.most) {
      const fresh = new Worker(() => {
        all.delete(fresh);
        const at = idle.indexOf(fresh);
        if (at >= 0) idle.splice(at, 1);
        queue.shift()?.();
      });
      all.add(fresh);
      return fresh;
    }
    const turn = Promise.withResolvers<void>();
    queue.push(turn.resolve);
    const started = performance.now();
    const timer = setTimeout(() => {
      const at = queue.indexOf(turn.resolve);
      if (at < 0) return;
      queue.splice(at, 1);
      turn.reject(new ServerUnreachable("all PAM workers are busy (auth.pam.0.workers)"));
    }, ms);
    await turn.promise.finally(() => clearTimeout(timer));
    if (closed) throw closedError();
    return take(ms - (performance.now() - started));
  };

  return {
    async ask(question, ms) {
      if (closed) throw closedError();
      const deadline = performance.now() + ms;
      const worker = await take(ms);
      try {
        return await worker.ask(question, deadline - performance.now(), ms);
      } catch (error) {
        worker.end();
        throw error;
      } finally {
        if (worker.usable && !closed) {
          idle.push(worker);
          queue.shift()?.();
        } else {
          worker.end();
        }
      }
    },
    async close() {
      closed = true;
      for (const wake of queue.splice(0)) wake();
      await Promise.all([...all].map((worker) => worker.end()));
    },
  };
}

const closedError = () => new ServerUnreachable("PAM is no longer asked: its settings were changed");

class Worker {
  readonly #process: ChildProcess;
  readonly #gone = Promise.withResolvers<void>();
  #pending: PromiseWithResolvers<PamAnswer> | undefined;
  #answers = 0;
  #errors = "";
  #ended = false;
  #killing: Promise<void> | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(gone: () => void) {
    this.#process = spawn(process.execPath, [program], {
      // Nothing of the daemon's environment, which may hold secrets.
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" },
      cwd: "/",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      // Not to be ended by what is typed at the daemon's terminal.
      detached: true,
    });
    this.#process.stderr?.on("data", (data: Buffer) => {
      this.#errors = (this.#errors + data.toString("utf8")).slice(-mostErrorBytes);
    });
    this.#process.on("message", (answer: PamAnswer) => {
      this.#answers += 1;
      this.#pending?.resolve(answer);
    });
    this.#process.on("error", (error) => this.#fail(`a PAM worker could not be started: ${error.message}`, gone));
    this.#process.once("exit", (status, signal) => {
      const said = /^.*Error: .*$/m.exec(this.#errors)?.[0];
      const how = signal === null ? `status ${status}` : signal;
      this.#fail(`the PAM worker died (${how}${said ? `: ${said.slice(0, 300)}` : ""})`, gone);
    });
  }

  get usable(): boolean {
    return !this.#ended && this.#answers < mostAnswers;
  }

  async ask(question: PamQuestion, ms: number, told: number): Promise<PamAnswer> {
    clearTimeout(this.#idle);
    if (this.#ended) throw new ServerUnreachable("the PAM worker died");
    const pending = Promise.withResolvers<PamAnswer>();
    this.#pending = pending;
    const timer = setTimeout(
      () => {
        pending.reject(new ServerUnreachable(`PAM did not answer within ${told} ms`));
        this.end();
      },
      Math.max(ms, 0),
    );
    this.#process.send(question, (error) => {
      if (error) pending.reject(new ServerUnreachable(`the PAM worker cannot be asked: ${error.message}`));
    });
    try {
      return await pending.promise;
    } finally {
      clearTimeout(timer);
      this.#pending = undefined;
      if (!this.#ended) this.#idle = setTimeout(() => this.end(), idleMs).unref();
    }
  }

  /** Resolves when it is gone. */
  end(): Promise<void> {
    clearTimeout(this.#idle);
    this.#ended = true;
    const { pid } = this.#process;
    if (pid !== undefined && this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#killing ??= killTree(pid);
    }
    return this.#gone.promise;
  }

  #fail(why: string, gone: () => void): void {
    const first = !this.#ended;
    this.#ended = true;
    clearTimeout(this.#idle);
    this.#pending?.reject(new ServerUnreachable(first ? why : "the PAM worker was ended"));
    gone();
    this.#gone.resolve();
  }
}
