import type { DirectoryEntry } from "../core/directory-search.ts";
import type { ScriptFacts, ScriptFault } from "./runner.ts";

/**
 * What the script's process says, one JSON object a line, in ASCII (packages/sdk/python/sallyport_host/worker.py,
 * packages/sdk/typescript/host/calls.ts).
 */
export type FromWorker =
  | ({ op: "fault" } & ScriptFault)
  | { op: "loaded"; pid: number; facts: ScriptFacts }
  | { op: "printed"; id: number; text: string }
  | {
      op: "returned";
      id: number;
      value: unknown;
      state: string | null;
      challenge?: { text: string; echo: boolean };
      crstate?: string | null;
      printed: string;
    }
  | { op: "raised"; id: number; message: string; traceback: string; printed: string }
  | { op: "unsendable"; id: number; message: string; printed: string }
  /** The script gave up because it was told that its deadline was near. */
  | { op: "timed-out"; id: number; printed: string }
  | { op: "refused"; id: number; message: string }
  | { op: "search"; id: number; search: number; query: SearchQuery }
  | { op: "pong" };

export type SearchQuery = { base: string; filter: string; attributes: string[]; scope: "base" | "one" | "sub" };

export type ToWorker =
  | {
      op: "call";
      id: number;
      arguments: Record<string, unknown>;
      /** The attribute that names users, where there is a directory. */
      directory: string | null;
      /** Until the call is given up. */
      deadlineMs: number;
      state: string | null;
      crstate: string | null;
      response: string | null;
    }
  | { op: "found"; search: number; entries: readonly DirectoryEntry[] }
  | { op: "found"; search: number; error: string }
  | { op: "ping" };

/** A line longer than this is no message of ours. */
export const longestLineBytes = 8 * 1024 * 1024;

/**
 * Splits what arrives into messages. A script can reach the pipe if it tries, so nothing on it is believed: the
 * iteration throws at the first line that is no message.
 */
export class MessageReader {
  #unfinished: Buffer[] = [];
  #size = 0;

  *read(chunk: Buffer): Generator<FromWorker> {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const line = [...this.#unfinished, chunk.subarray(start, end)];
      this.#unfinished = [];
      this.#size = 0;
      start = end + 1;
      yield parse(line.length === 1 ? (line[0] as Buffer) : Buffer.concat(line));
    }
    if (start < chunk.length) {
      this.#unfinished.push(chunk.subarray(start));
      this.#size += chunk.length - start;
    }
    if (this.#size > longestLineBytes) throw new Error(`a line of more than ${longestLineBytes} bytes`);
  }
}

/** The texts that each message must have. */
const texts: Readonly<Record<FromWorker["op"], readonly string[]>> = {
  fault: ["message"],
  loaded: [],
  printed: ["text"],
  returned: ["printed"],
  raised: ["message", "traceback", "printed"],
  unsendable: ["message", "printed"],
  "timed-out": ["printed"],
  refused: ["message"],
  search: [],
  pong: [],
};

function parse(line: Buffer): FromWorker {
  const message = JSON.parse(line.toString("latin1"));
  if (typeof message !== "object" || message === null || !Object.hasOwn(texts, message.op)) {
    throw new Error("a line that is no message");
  }
  for (const key of texts[message.op as FromWorker["op"]]) {
    if (typeof message[key] !== "string") throw new Error(`a message whose ${key} is no text`);
    message[key] = message[key].toWellFormed().replaceAll("\0", "\ufffd");
  }
  return message;
}
