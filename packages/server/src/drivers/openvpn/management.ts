import { createConnection, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { type Command, encodeCommands } from "./commands.ts";
import { Decoder, type Message } from "./messages.ts";

/** The reply to one command. `lines` are those of a list, without its END. */
export type Reply = { ok: boolean; text: string; lines: readonly string[] };

export type ManagementOptions = {
  /** Also what the connection is called in messages. */
  socketPath: string;
  /** Makes the connection, where that takes more than opening `socketPath`. */
  connect?: (() => Promise<Socket>) | undefined;
  /** For the greeting, and for each reply: an OpenVPN that takes longer is given up. */
  deadlineMs: number;
  /** Whatever is no reply, in order. */
  onMessage: (message: Message) => void;
  onClose: () => void;
  log: Log;
};

export type SendTerms = {
  /** Called with all replies before anything is looked at that OpenVPN said after them. */
  atOnce?: (replies: readonly Reply[]) => void;
  /** After how many replies the promise is settled; all of them unless told. */
  settleAfter?: number;
};

type Batch = {
  commands: readonly Command[];
  bytes: Buffer;
  replies: Reply[];
  terms: SendTerms;
  resolve: (replies: Reply[]) => void;
  reject: (error: SallyportError) => void;
};

const mostWaiting = 20_000;
const mostListLines = 200_000;

/**
 * One connection to the management socket of an OpenVPN. Commands go out one batch after the other, each as a single
 * write, and the next only when all replies of the one before are there; what OpenVPN says by itself is passed on in the
 * order it came. When a reply fails to come in time the connection is closed: nobody knows any more whose reply is whose.
 */
export class ManagementConnection {
  readonly #options: ManagementOptions;
  readonly #socket: Socket;
  readonly #decoder = new Decoder();
  readonly #waiting: Batch[] = [];
  readonly #inbox: Message[] = [];
  #current: Batch | undefined;
  #list: string[] = [];
  #deadline: NodeJS.Timeout | undefined;
  #handling = false;
  /** Nothing more comes from the socket; what came is still handled. */
  #exhausted = false;
  #closed = false;

  /**
   * Connects and waits for the greeting. OpenVPN serves one connection at a time; a further one gets none.
   * @throws NodeJS.ErrnoException ECONNREFUSED or ENOENT where nobody listens
   * @throws SallyportError `driver-failed` where nobody greets in time
   */
  static async open(options: ManagementOptions): Promise<ManagementConnection> {
    const socket = await (options.connect ?? (() => connectTo({ path: options.socketPath })))();
    const connection = new ManagementConnection(options, socket);
    await connection.#greeted;
    return connection;
  }

  readonly #greeted: Promise<void>;
  #greet: (() => void) | undefined;

  private constructor(options: ManagementOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    this.#greeted = new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        reject(
          new SallyportError("driver-failed", `nobody answers at ${options.socketPath}: is it in use by another?`),
        );
        this.close();
      }, options.deadlineMs);
      this.#greet = () => {
        clearTimeout(late);
        resolve();
      };
      socket.once("close", () => {
        clearTimeout(late);
        reject(new SallyportError("driver-failed", `${options.socketPath} was closed before it greeted`));
      });
    });
    // Only `open` waits for it; when the connection ends later nobody does.
    this.#greeted.catch(() => undefined);
    socket.on("data", (chunk) => {
      for (const message of this.#decoder.push(chunk)) this.#inbox.push(message);
      void this.#handle();
    });
    // Whoever signed in has paused it.
    socket.resume();
    socket.on("error", (error) => options.log.debug({ error }, "the management socket failed"));
    socket.on("close", () => {
      this.#exhausted = true;
      void this.#handle();
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Sends commands as one write and resolves with a reply for each.
   * @throws SallyportError `driver-failed` where the connection is or gets lost
   */
  send(commands: readonly Command[], terms: SendTerms = {}): Promise<Reply[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(lost());
      if (this.#waiting.length >= mostWaiting) {
        return reject(new SallyportError("driver-failed", "too many commands wait for OpenVPN"));
      }
      this.#waiting.push({ commands, bytes: encodeCommands(commands), replies: [], terms, resolve, reject });
      this.#next();
    });
  }

  /** Nothing is handled after this. */
  close(): void {
    this.#inbox.length = 0;
    this.#socket.destroy();
    this.#end();
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const batch = this.#waiting.shift();
    if (batch === undefined) return;
    this.#current = batch;
    this.#deadline = setTimeout(() => {
      this.#options.log.error({ command: wordOf(batch) }, "OpenVPN did not reply in time");
      this.close();
    }, this.#options.deadlineMs);
    this.#socket.write(batch.bytes);
  }

  async #handle(): Promise<void> {
    if (this.#handling) return;
    this.#handling = true;
    try {
      for (let message = this.#inbox.shift(); message !== undefined && !this.#closed; message = this.#inbox.shift()) {
        if (message.kind === "line") {
          // Whoever waited for the reply goes on before the next event is told.
          if (this.#reply(message.text)) await nextTurn();
        } else if (message.kind === "greeting") this.#greet?.();
        else this.#options.onMessage(message);
      }
    } finally {
      this.#handling = false;
    }
    if (this.#exhausted) this.#end();
  }

  /** True where the line settled a batch. */
  #reply(text: string): boolean {
    const batch = this.#current;
    const command = batch?.commands[batch.replies.length];
    if (batch === undefined || command === undefined) {
      this.#options.log.debug({ text: text.slice(0, 300) }, "OpenVPN replied to nothing");
      return false;
    }
    const ok = text.startsWith("SUCCESS:");
    const failed = text.startsWith("ERROR:");
    if (command.reply === "list" && text === "END") batch.replies.push({ ok: true, text: "", lines: this.#list });
    else if (failed || (ok && command.reply === "line")) batch.replies.push({ ok, text, lines: [] });
    else if (command.reply === "list" && this.#list.length < mostListLines) {
      this.#list.push(text);
      return false;
    } else {
      this.#options.log.debug({ text: text.slice(0, 300) }, "a line that is no reply");
      return false;
    }
    this.#list = [];
    const { settleAfter = batch.commands.length, atOnce } = batch.terms;
    if (batch.replies.length === batch.commands.length) {
      clearTimeout(this.#deadline);
      this.#current = undefined;
      atOnce?.(batch.replies);
      this.#next();
    }
    if (batch.replies.length !== settleAfter) return false;
    batch.resolve(batch.replies);
    return true;
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#deadline);
    const waiting = [...(this.#current === undefined ? [] : [this.#current]), ...this.#waiting.splice(0)];
    this.#current = undefined;
    for (const batch of waiting) batch.reject(lost());
    this.#options.onClose();
  }
}

/** @throws NodeJS.ErrnoException */
export async function connectTo(place: { path: string } | { host: string; port: number }): Promise<Socket> {
  const socket = createConnection(place);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return socket;
}

function lost(): SallyportError {
  return new SallyportError("driver-failed", "the connection to OpenVPN was lost; it is being made again");
}

/** The command's name alone: its arguments are no matter for the log. */
function wordOf(batch: Batch): string {
  return batch.commands.map(({ lines }) => (lines[0] ?? "").split(" ")[0]).join(", ");
}
