import { Worker } from "node:worker_threads";

/** A regular expression may take longer than the universe lasts; in a thread of its own it can be ended. */
const workerText = `
const { parentPort } = require("node:worker_threads");
parentPort.on("message", ({ regex, names }) => parentPort.postMessage(names.map((name) => regex.test(name))));
`;

/** Matches names with regular expressions of others. `undefined`: it took longer than the deadline. */
export function nameMatcher(options: { deadlineMs: number }) {
  let worker: Worker | undefined;
  let answered: (matches?: boolean[]) => void = () => undefined;

  function start(): Worker {
    const started = new Worker(workerText, { eval: true });
    started.on("message", (matches: boolean[]) => answered(matches));
    started.on("error", () => answered());
    return started;
  }

  async function match(regex: RegExp, names: readonly string[]): Promise<boolean[] | undefined> {
    if (names.length === 0) return [];
    worker ??= start();
    worker.postMessage({ regex, names });
    let timer: NodeJS.Timeout | undefined;
    const matches = await new Promise<boolean[] | undefined>((settle) => {
      answered = settle;
      timer = setTimeout(() => settle(undefined), options.deadlineMs);
    });
    clearTimeout(timer);
    if (matches === undefined) await close();
    return matches;
  }

  async function close(): Promise<void> {
    const ended = worker;
    worker = undefined;
    answered = () => undefined;
    await ended?.terminate();
  }

  return { match, close };
}
