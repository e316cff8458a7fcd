export type ByteCounts = { bytesIn: number; bytesOut: number };

const none: ByteCounts = { bytesIn: 0, bytesOut: 0 };

/**
 * The bytes of one connection, from a counter that may begin before it (a peer that stays between two connections) and
 * start again under it (the interface made anew, the peer removed and added by somebody).
 */
export class ByteCounter {
  /** What the peer's own counter must be added to. */
  #base: ByteCounts = none;
  #raw: ByteCounts = none;

  /** The peer's counter as it was just read. One that went back began again at zero. */
  read({ bytesIn, bytesOut }: ByteCounts): void {
    if (bytesIn < this.#raw.bytesIn || bytesOut < this.#raw.bytesOut) this.restarted();
    this.#raw = { bytesIn, bytesOut };
  }

  /** The peer's counter is at zero again. */
  restarted(): void {
    this.#base = this.total;
    this.#raw = none;
  }

  /** The connection begins now: what was counted before is not its own. */
  begin(): void {
    this.#base = { bytesIn: -this.#raw.bytesIn, bytesOut: -this.#raw.bytesOut };
  }

  /** The connection goes on from here, as far as is known. */
  continueFrom({ bytesIn, bytesOut }: ByteCounts): void {
    this.#base = { bytesIn: bytesIn - this.#raw.bytesIn, bytesOut: bytesOut - this.#raw.bytesOut };
  }

  get total(): ByteCounts {
    return { bytesIn: this.#base.bytesIn + this.#raw.bytesIn, bytesOut: this.#base.bytesOut + this.#raw.bytesOut };
  }

  /** What has to be remembered beside the peer's own counter; null where that alone says it. */
  get base(): ByteCounts | null {
    const { bytesIn, bytesOut } = this.#base;
    return bytesIn === 0 && bytesOut === 0 ? null : this.#base;
  }

  set base(base: ByteCounts | null) {
    this.#base = base ?? none;
  }
}
