/** Lets somebody wait, within a bound, until a connection's tunnel is really gone. */
export class Releases {
  readonly #waiting = new Map<string, Set<(released: boolean) => void>>();

  /** True when it was announced in time. */
  wait(id: string, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(id) ?? new Set();
      this.#waiting.set(id, waiters);
      const settle = (released: boolean) => {
        clearTimeout(timer);
        waiters.delete(settle);
        if (waiters.size === 0) this.#waiting.delete(id);
        resolve(released);
      };
      const timer = setTimeout(settle, timeoutMs, false);
      waiters.add(settle);
    });
  }

  announce(id: string): void {
    for (const settle of [...(this.#waiting.get(id) ?? [])]) settle(true);
  }
}
