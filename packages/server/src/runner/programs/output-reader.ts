import { readSync } from "node:fs";
import { Socket } from "node:net";
import { BoundedOutput } from "./bounded-output.ts";

/** More than a pipe holds at most (F_SETPIPE_SZ as anybody but root): what was written before an exit is within it. */
const drainBytes = 2 * 1_048_576;
/** Pipes that children left behind still write to are read and dropped, so many at most; then the oldest is closed. */
const mostLeftOpen = 256;
const leftOpen = new Set<Socket>();

/** Reads the output of one program from its pipe as it comes. */
export class OutputReader {
  readonly #fd: number;
  readonly #socket: Socket;
  readonly #output: BoundedOutput;
  #ended = false;

  constructor(fd: number, maxBytes: number) {
    this.#fd = fd;
    this.#output = new BoundedOutput(maxBytes);
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.on("data", (chunk) => this.#add(chunk));
    this.#socket.on("error", () => this.#socket.destroy());
  }

  #add(chunk: Buffer): void {
    if (!this.#ended) this.#output.add(chunk);
  }

  /**
   * Takes what the program had written before it ended, and no more: whoever still holds the pipe may go on writing,
   * unread by anybody, and neither holds the answer up nor is killed by a broken pipe.
   */
  finish(): string {
    const allClosed = this.#socket.destroyed || this.#drain();
    this.#ended = true;
    if (allClosed) this.#socket.destroy();
    else leaveOpen(this.#socket);
    return this.#output.text();
  }

  /** True where nobody can write any more. */
  #drain(): boolean {
    const buffer = Buffer.allocUnsafe(65_536);
    for (let drained = 0; drained < drainBytes; ) {
      try {
        const bytesRead = readSync(this.#fd, buffer);
        if (bytesRead === 0) return true;
        this.#add(buffer.subarray(0, bytesRead));
        drained += bytesRead;
      } catch {
        return false;
      }
    }
    return false;
  }
}

function leaveOpen(socket: Socket): void {
  socket.unref();
  leftOpen.add(socket);
  socket.once("close", () => leftOpen.delete(socket));
  if (leftOpen.size > mostLeftOpen) leftOpen.values().next().value?.destroy();
}
