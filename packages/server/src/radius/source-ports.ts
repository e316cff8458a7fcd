import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";

/** Replies that were as good as none. */
export type Discarded = { forged: number; other: number };

type Listener = { datagram(bytes: Buffer): void; failed(error: NodeJS.ErrnoException): void };

/** An identifier of a UDP port of ours that no other request to that server uses now. */
export type Place = {
  identifier: number;
  listen(listener: Listener): void;
  send(bytes: Buffer): void;
  leave(): void;
};

export type SourcePorts = {
  /** Throws where no more requests can wait, and after `close`. */
  take(address: string, port: number): Place;
  /** What still waits hears that it failed. */
  close(): void;
};

const idleMs = 10_000;
const identifiers = 256;
const mostPorts = 64;

/**
 * RADIUS tells requests apart by our port and one byte. A port serves up to 256 requests at once, and further ports are
 * opened as they are needed. Each is connected to its server: the kernel drops what comes from anywhere else, and tells
 * when nobody listens there. Identifiers go round, so that a late reply seldom meets a new request of its number.
 */
export function createSourcePorts(): SourcePorts {
  const byServer = new Map<string, Set<SourcePort>>();
  let closed = false;

  return {
    take(address, port) {
      if (closed) throw closedError();
      const key = `${address} ${port}`;
      const ports = byServer.get(key) ?? new Set();
      byServer.set(key, ports);
      for (const one of ports) {
        const place = one.take();
        if (place) return place;
      }
      if (ports.size >= mostPorts) {
        throw Object.assign(new Error("too many requests wait"), { code: "EAGAIN" });
      }
      const fresh = new SourcePort(address, port, () => ports.delete(fresh));
      ports.add(fresh);
      return fresh.take() as Place;
    },
    close() {
      closed = true;
      for (const ports of byServer.values()) for (const port of [...ports]) port.end(closedError());
    },
  };
}

const closedError = () => Object.assign(new Error("closed"), { code: "its settings were changed" });

class SourcePort {
  readonly #socket: Socket;
  readonly #listeners = new Map<number, Listener | undefined>();
  readonly #gone: () => void;
  /** Resolves when the socket is connected, or has ended. */
  readonly #ready = Promise.withResolvers<void>();
  #next = Math.floor(Math.random() * identifiers);
  #idle: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(address: string, port: number, gone: () => void) {
    this.#gone = gone;
    this.#socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    this.#socket.on("message", (bytes) => this.#listeners.get(bytes[1] ?? -1)?.datagram(bytes));
    let connected = false;
    this.#socket.on("error", (error) => (connected ? this.#fail(error) : this.end(error)));
    this.#socket.on("connect", () => {
      connected = true;
      this.#ready.resolve();
    });
    this.#socket.connect(port, address);
  }

  take(): Place | undefined {
    if (this.#listeners.size === identifiers || this.#ended) return undefined;
    clearTimeout(this.#idle);
    while (this.#listeners.has(this.#next)) this.#next = (this.#next + 1) % identifiers;
    const identifier = this.#next;
    this.#next = (identifier + 1) % identifiers;
    this.#listeners.set(identifier, undefined);
    return {
      identifier,
      listen: (listener) => this.#listeners.set(identifier, listener),
      send: (bytes) => void this.#send(bytes),
      leave: () => {
        this.#listeners.delete(identifier);
        if (this.#listeners.size === 0) this.#idle = setTimeout(() => this.end(closedError()), idleMs).unref();
      },
    };
  }

  async #send(bytes: Buffer): Promise<void> {
    await this.#ready.promise;
    if (this.#ended) return;
    this.#socket.send(bytes, (error) => {
      if (error) this.#fail(error);
    });
  }

  /** The kernel does not say which request the failure is about: all of them are for the same server. */
  #fail(error: NodeJS.ErrnoException): void {
    for (const listener of [...this.#listeners.values()]) listener?.failed(error);
  }

  end(error: NodeJS.ErrnoException): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#idle);
    this.#gone();
    this.#fail(error);
    this.#ready.resolve();
    this.#socket.close();
  }
}
