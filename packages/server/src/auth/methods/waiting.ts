/**
 * A bound on how many wait for one backend. One too many is refused at once instead of queued: a backend that hangs
 * then costs a known number of waiters, and those of other methods notice nothing.
 */
export type WaitingBound = {
  /** Runs the work in one of the places, or returns undefined where all are taken. */
  run<T>(work: () => Promise<T>): Promise<T> | undefined;
  waiting(): number;
  limit: number;
};

export function createWaitingBound(limit: number): WaitingBound {
  let waiting = 0;
  return {
    run(work) {
      if (waiting >= limit) return undefined;
      waiting += 1;
      return work().finally(() => {
        waiting -= 1;
      });
    },
    waiting: () => waiting,
    limit,
  };
}
