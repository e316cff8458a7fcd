/**
 * Keeps the beginning and the end of what a program prints, within a bound, whatever it prints in between: the end is
 * where a program says why it gave up.
 */
export class BoundedOutput {
  readonly #headBytes: number;
  readonly #tailBytes: number;
  readonly #head: Buffer[] = [];
  #headLength = 0;
  #tail: Buffer[] = [];
  #tailLength = 0;
  #leftOut = 0;

  constructor(maxBytes: number) {
    this.#tailBytes = Math.floor(maxBytes / 2);
    this.#headBytes = maxBytes - this.#tailBytes;
  }

  /** The chunk is copied as far as it is kept. */
  add(chunk: Buffer): void {
    const forHead = chunk.subarray(0, this.#headBytes - this.#headLength);
    if (forHead.length > 0) {
      this.#head.push(Buffer.from(forHead));
      this.#headLength += forHead.length;
    }
    this.#addToTail(chunk.subarray(forHead.length));
  }

  #addToTail(rest: Buffer): void {
    if (rest.length === 0) return;
    const kept = rest.subarray(Math.max(0, rest.length - this.#tailBytes));
    this.#leftOut += rest.length - kept.length;
    this.#tail.push(Buffer.from(kept));
    this.#tailLength += kept.length;
    // Joined now and then only, so that a flood of small chunks costs no more than its bytes.
    if (this.#tailLength > 2 * this.#tailBytes || this.#tail.length > 1_000) this.#trimTail();
  }

  #trimTail(): void {
    const whole = Buffer.concat(this.#tail);
    const kept = whole.subarray(Math.max(0, whole.length - this.#tailBytes));
    this.#leftOut += whole.length - kept.length;
    this.#tail = [Buffer.from(kept)];
    this.#tailLength = kept.length;
  }

  /** Valid text: bytes that are no UTF-8, and NULs, which databases refuse, become U+FFFD. */
  text(): string {
    this.#trimTail();
    const cut = this.#leftOut > 0 ? [Buffer.from(`\n[… ${this.#leftOut} bytes left out …]\n`)] : [];
    return Buffer.concat([...this.#head, ...cut, ...this.#tail])
      .toString("utf8")
      .replaceAll("\0", "\ufffd");
  }
}
