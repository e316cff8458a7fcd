/** A key renegotiation, a new client, one that is in, one that is gone. CR_RESPONSE: the answer to a CR_TEXT question. */
const clientEventTypes = ["CONNECT", "REAUTH", "ESTABLISHED", "DISCONNECT", "CR_RESPONSE"] as const;

export type ClientEventType = (typeof clientEventTypes)[number];

export type ClientEvent = {
  type: ClientEventType;
  cid: number;
  /** Undefined for ESTABLISHED and DISCONNECT. */
  kid: number | undefined;
  /** What follows the numbers: the answer of CR_RESPONSE. */
  rest: string | undefined;
  /** Raw bytes by name: what clients send need not be UTF-8. */
  environment: ReadonlyMap<string, Buffer>;
  /** Something of the environment was too long and is missing: what is there must not be believed. */
  damaged: boolean;
};

/** What OpenVPN says on its management socket. `line` is part of the reply to a command. */
export type Message =
  | { kind: "line"; text: string }
  | { kind: "client"; event: ClientEvent }
  | { kind: "bytecount"; cid: number; bytesIn: number; bytesOut: number }
  | { kind: "state"; name: string; detail: string }
  | { kind: "greeting" }
  | { kind: "hold" }
  | { kind: "fatal"; text: string }
  /** Understood to be of no use here (`>LOG`, `>CLIENT:ADDRESS`), or not understood, or over a bound; for the log. */
  | { kind: "ignored"; why: string; text: string };

export type DecoderBounds = { mostLineBytes: number; mostVariables: number; mostEnvironmentBytes: number };

/** OpenVPN's own lines are below 11 KiB; a client can send some hundred variables of a few hundred bytes each. */
export const usualBounds: DecoderBounds = {
  mostLineBytes: 16_384,
  mostVariables: 1_024,
  mostEnvironmentBytes: 262_144,
};

type OpenEvent = { event: ClientEvent; environment: Map<string, Buffer>; bytes: number };

const newline = 0x0a;
const carriageReturn = 0x0d;
const colon = 0x3a;
const equals = 0x3d;
const greaterThan = 0x3e;
const mostLoggedCharacters = 300;

/**
 * Turns what comes from the socket, in whatever pieces, into messages. It keeps one unfinished line and one unfinished
 * client event at most, both bounded; what is over a bound is dropped and reported, and marks the event as damaged.
 */
export class Decoder {
  readonly #bounds: DecoderBounds;
  #rest: Buffer = Buffer.alloc(0);
  #skipping = false;
  #open: OpenEvent | undefined;

  constructor(bounds: DecoderBounds = usualBounds) {
    this.#bounds = bounds;
  }

  push(chunk: Buffer): Message[] {
    const messages: Message[] = [];
    const add = (message: Message | undefined) => {
      if (message !== undefined) messages.push(message);
    };
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
      add(this.#line(bytes.subarray(start, end)));
      start = end + 1;
    }
    const rest = bytes.subarray(start);
    if (rest.length > this.#bounds.mostLineBytes) {
      if (!this.#skipping) add(this.#drop("a line is too long", rest));
      this.#skipping = true;
      this.#rest = Buffer.alloc(0);
    } else {
      // A copy, so that a large chunk is not kept alive by its last few bytes.
      this.#rest = Buffer.from(rest);
    }
    return messages;
  }

  #line(raw: Buffer): Message | undefined {
    if (this.#skipping) {
      this.#skipping = false;
      return undefined;
    }
    if (raw.length > this.#bounds.mostLineBytes) return this.#drop("a line is too long", raw);
    const line = raw.at(-1) === carriageReturn ? raw.subarray(0, -1) : raw;
    if (line[0] !== greaterThan) return { kind: "line", text: line.toString("utf8") };
    const end = line.indexOf(colon);
    const source = line.subarray(1, end === -1 ? undefined : end).toString("latin1");
    const body = line.subarray(end === -1 ? line.length : end + 1);
    return source === "CLIENT" ? this.#client(body) : notification(source, body.toString("utf8"), line);
  }

  #client(body: Buffer): Message | undefined {
    const open = this.#open;
    const text = body.toString("latin1");
    if (text.startsWith("ENV,")) {
      if (open === undefined) return this.#drop("a variable outside of an event", body);
      if (text !== "ENV,END") return this.#variable(open, body.subarray(4));
      this.#open = undefined;
      return { kind: "client", event: open.event };
    }
    if (text.startsWith("ADDRESS,")) return ignored("not needed", body);
    const event = beginning(text);
    if (event === undefined) return this.#drop("an unknown client event", body);
    const environment = new Map<string, Buffer>();
    this.#open = { event: { ...event, environment, damaged: false }, environment, bytes: 0 };
    return open === undefined ? undefined : ignored("an event without an end", Buffer.from(open.event.type));
  }

  #variable(open: OpenEvent, variable: Buffer): Message | undefined {
    const end = variable.indexOf(equals);
    if (end <= 0) return this.#drop("a variable without a name", variable);
    open.bytes += variable.length;
    if (open.environment.size >= this.#bounds.mostVariables || open.bytes > this.#bounds.mostEnvironmentBytes) {
      const first = !open.event.damaged;
      open.event.damaged = true;
      return first ? ignored("an environment is too large", variable.subarray(0, end)) : undefined;
    }
    // A copy: the chunk it came in may be a large one.
    open.environment.set(variable.subarray(0, end).toString("latin1"), Buffer.from(variable.subarray(end + 1)));
    return undefined;
  }

  /** Something of an event is missing now: nothing of it can be believed. */
  #drop(why: string, raw: Buffer): Message {
    if (this.#open !== undefined) this.#open.event.damaged = true;
    return ignored(why, withoutSecret(raw));
  }
}

/** The first line of an event, such as `CONNECT,12,1`. */
function beginning(text: string): Pick<ClientEvent, "type" | "cid" | "kid" | "rest"> | undefined {
  const match = /^([A-Z_]+),(\d{1,10})(?:,(\d{1,10}))?(?:,(.*))?$/.exec(text);
  const type = clientEventTypes.find((one) => one === match?.[1]);
  const withKey = type === "CONNECT" || type === "REAUTH" || type === "CR_RESPONSE";
  if (match === null || type === undefined || withKey !== (match[3] !== undefined)) return undefined;
  return { type, cid: Number(match[2]), kid: withKey ? Number(match[3]) : undefined, rest: match[4] };
}

function ignored(why: string, raw: Buffer): Message {
  return { kind: "ignored", why, text: raw.toString("utf8").slice(0, mostLoggedCharacters) };
}

/** What is dropped goes to the log; a password must not. */
function withoutSecret(raw: Buffer): Buffer {
  const text = raw.subarray(0, mostLoggedCharacters).toString("latin1");
  return /password|session_|auth_token|CR_RESPONSE/i.test(text) ? Buffer.from("(may hold a secret)") : raw;
}

function notification(source: string, body: string, line: Buffer): Message {
  if (source === "BYTECOUNT_CLI") {
    const match = /^(\d{1,10}),(\d{1,20}),(\d{1,20})$/.exec(body);
    if (match !== null) {
      return { kind: "bytecount", cid: Number(match[1]), bytesIn: Number(match[2]), bytesOut: Number(match[3]) };
    }
  }
  if (source === "STATE") {
    const [, name = "", detail = ""] = body.split(",");
    return { kind: "state", name, detail };
  }
  if (source === "INFO") return { kind: "greeting" };
  if (source === "HOLD") return { kind: "hold" };
  if (source === "FATAL") return { kind: "fatal", text: body.slice(0, mostLoggedCharacters) };
  return ignored(source === "LOG" ? "not needed" : "an unknown message", withoutSecret(line));
}
