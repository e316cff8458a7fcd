import { Socket } from "node:net";
import { endProcess } from "./process.ts";

/** JSON lines to and from the daemon, in ASCII, over one descriptor. */
export class Pipe {
  readonly #socket: Socket;
  #unsent = "";
  #unfinished: Buffer[] = [];

  constructor(fd: number) {
    this.#socket = new Socket({ fd, readable: true, writable: true });
    // Without the daemon nobody waits for an answer any more.
    this.#socket.on("error", () => endProcess(0));
    this.#socket.on("close", () => endProcess(0));
  }

  listen(receive: (message: unknown) => void): void {
    this.#socket.on("data", (chunk: Buffer) => {
      let start = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
        const line = Buffer.concat([...this.#unfinished, chunk.subarray(start, end)]);
        this.#unfinished = [];
        start = end + 1;
        receive(JSON.parse(line.toString("utf8")));
      }
      if (start < chunk.length) this.#unfinished.push(chunk.subarray(start));
    });
  }

  /** What is sent in one turn of the event loop is written at once. */
  send(message: object): void {
    if (this.#unsent === "") setImmediate(() => this.#flush());
    this.#unsent += encode(message);
  }

  /** Written before anything else happens: the script may never let the event loop turn again. */
  sendNow(message: object): void {
    this.#unsent += encode(message);
    this.#flush();
  }

  /** Resolves when it is written. */
  async sendLast(message: object): Promise<void> {
    this.#flush();
    await new Promise((resolve) => this.#socket.write(encode(message), resolve));
  }

  #flush(): void {
    if (this.#unsent === "") return;
    this.#socket.write(this.#unsent);
    this.#unsent = "";
  }
}

export function encode(message: object): string {
  const line = JSON.stringify(message);
  return `${line.replaceAll(/[\u007f-\uffff]/g, escaped)}\n`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
