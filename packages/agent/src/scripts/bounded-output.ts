/** Keeps the beginning and the end of what a script prints, within a bound, whatever it prints in between. */
export class BoundedOutput {
  readonly #headBytes: number;
  readonly #tailBytes: number;
  #head = Buffer.alloc(0);
  #tail = Buffer.alloc(0);
  #leftOut = 0;

  constructor(mostBytes: number) {
    this.#tailBytes = Math.floor(mostBytes / 2);
    this.#headBytes = mostBytes - this.#tailBytes;
  }

  add(chunk: Buffer): void {
    const room = this.#headBytes - this.#head.length;
    if (room > 0) this.#head = Buffer.concat([this.#head, chunk.subarray(0, room)]);
    const rest = chunk.subarray(Math.max(0, room));
    if (rest.length === 0) return;
    const tail = Buffer.concat([this.#tail, rest]);
    this.#leftOut += Math.max(0, tail.length - this.#tailBytes);
    this.#tail = Buffer.from(tail.subarray(Math.max(0, tail.length - this.#tailBytes)));
  }

  /** Bytes that are no UTF-8, unless `read` knows better, and NULs, become U+FFFD. */
  text(read: (bytes: Buffer) => string = (bytes) => bytes.toString("utf8")): string {
    const cut = this.#leftOut > 0 ? [Buffer.from(`\n[… ${this.#leftOut} bytes left out …]\n`)] : [];
    return read(Buffer.concat([this.#head, ...cut, this.#tail])).replaceAll("\0", "\ufffd");
  }
}
