import { Worker } from "node:worker_threads";

/** A regular expression may take longer than the universe lasts; in a thread of its own it can be ended. */
const workerText = `
const { parentPort } = require("node:worker_threads");
parentPort.postMessage("ready");
parentPort.on("message", ({ regex, names }) => parentPort.postMessage(names.map((name) => regex.test(name))));
`;

const startDeadlineMs = 30_000;

/** Matches names with regular expressions of others. `undefined`: it took longer than the deadline. */
export function nameMatcher(options: { deadlineMs: number }) {
  let worker: Worker | undefined;
  let answered: (message?: "ready" | boolean[]) => void = () => undefined;

  /** The worker's next word, or undefined once the time is over or the worker has failed. */
  async function next(withinMs: number): Promise<"ready" | boolean[] | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const message = await new Promise<"ready" | boolean[] | undefined>((settle) => {
      answered = settle;
      timer = setTimeout(() => settle(undefined), withinMs);
    });
    clearTimeout(timer);
    return message;
  }

  async function start(): Promise<Worker> {
    const started = new Worker(workerText, { eval: true });
    started.on("message", (message) => answered(message));
    started.on("error", () => answered());
    // A busy machine starts threads late: that is nobody's regular expression.
    await next(startDeadlineMs);
    return started;
  }

  async function match(regex: RegExp, names: readonly string[]): Promise<boolean[] | undefined> {
    if (names.length === 0) return [];
    worker ??= await start();
    worker.postMessage({ regex, names });
    const matches = await next(options.deadlineMs);
    if (Array.isArray(matches)) return matches;
    await close();
    return undefined;
  }

  async function close(): Promise<void> {
    const ended = worker;
    worker = undefined;
    answered = () => undefined;
    await ended?.terminate();
  }

  return { match, close };
}
