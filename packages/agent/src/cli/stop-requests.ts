import type { EventEmitter } from "node:events";

/** How the agent is asked to end. */
export type StopRequests = {
  stop: AbortSignal;
  /** The person does not want to wait for scripts. */
  hurry: AbortSignal;
  /** Ctrl-C, where a terminal gives it as a key. */
  interrupt(): void;
};

/**
 * Ctrl-C is the person's: once to end, twice to end scripts at once, a third time to wait for nothing (`exit`). SIGTERM
 * and SIGHUP only ask to end, however often: a terminal that is closed sends several.
 */
export function stopRequests(process: Pick<EventEmitter, "on">, exit: () => void): StopRequests {
  const stop = new AbortController();
  const hurry = new AbortController();
  let interrupts = 0;
  const interrupt = () => {
    interrupts += 1;
    stop.abort();
    if (interrupts >= 2) hurry.abort();
    if (interrupts >= 3) exit();
  };
  process.on("SIGINT", interrupt);
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => stop.abort());
  return { stop: stop.signal, hurry: hurry.signal, interrupt };
}
