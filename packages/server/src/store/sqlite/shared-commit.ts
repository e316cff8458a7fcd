/**
 * Transactions that follow one another closely share one commit, and so one wait for the disk: each is a savepoint of
 * the transaction that is open. Nobody hears that theirs is done before the commit that holds it is on the disk; where
 * that fails, all of them have failed.
 */
export class SharedCommit {
  #members: Member[] = [];
  #isOpen = false;

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Those that wait for the commit. */
  get size(): number {
    return this.#members.length;
  }

  open(): void {
    this.#isOpen = true;
  }

  /** Resolves when what was done so far is on the disk. */
  join(): Promise<void> {
    const { promise, ...member } = Promise.withResolvers<void>();
    this.#members.push(member);
    return promise;
  }

  /** The commit was asked for; whoever comes from now on belongs to the next one. */
  settleWith(commit: Promise<unknown>): void {
    const members = this.#take();
    commit.then(
      () => {
        for (const { resolve } of members) resolve();
      },
      (error: unknown) => {
        for (const { reject } of members) reject(error);
      },
    );
  }

  /** The transaction is gone, and with it what its members had done. */
  fail(error: unknown): void {
    for (const { reject } of this.#take()) reject(error);
  }

  #take(): Member[] {
    const members = this.#members;
    this.#members = [];
    this.#isOpen = false;
    return members;
  }
}

type Member = { resolve: () => void; reject: (error: unknown) => void };
