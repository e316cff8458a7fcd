/** A map that knows how it differs from what the kernel has, so that the difference can be sent, or taken back. */
export class Tracked<Value> {
  readonly #now = new Map<string, Value>();
  readonly #before = new Map<string, Value | undefined>();

  get(key: string): Value | undefined {
    return this.#now.get(key);
  }

  set(key: string, value: Value): void {
    this.#remember(key);
    this.#now.set(key, value);
  }

  delete(key: string): void {
    if (!this.#now.has(key)) return;
    this.#remember(key);
    this.#now.delete(key);
  }

  clear(): void {
    for (const key of [...this.#now.keys()]) this.delete(key);
  }

  entries(): [string, Value][] {
    return [...this.#now];
  }

  get size(): number {
    return this.#now.size;
  }

  changes(): { key: string; before: Value | undefined; now: Value | undefined }[] {
    return [...this.#before].map(([key, before]) => ({ key, before, now: this.#now.get(key) }));
  }

  /** The kernel has it as it is now. */
  settle(): void {
    this.#before.clear();
  }

  /** Back to what the kernel has. */
  undo(): void {
    for (const [key, before] of this.#before) {
      if (before === undefined) this.#now.delete(key);
      else this.#now.set(key, before);
    }
    this.#before.clear();
  }

  #remember(key: string): void {
    if (!this.#before.has(key)) this.#before.set(key, this.#now.get(key));
  }
}
