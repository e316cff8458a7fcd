/** Where console.log and process.stdout go: to the call that prints, or else to the daemon's log. */
import { AsyncLocalStorage } from "node:async_hooks";
import { writeSync } from "node:fs";
import { Writable } from "node:stream";
import { formatWithOptions } from "node:util";

/** What runs on behalf of one call, however asynchronously. */
export type RunningCall = {
  /** False where the call is over. */
  print(text: string): boolean;
  /** Ends the call with this exception; false where it is over already. */
  fail(error: unknown): boolean;
};

const current = new AsyncLocalStorage<RunningCall>();

export const currentCall = (): RunningCall | undefined => current.getStore();

export function runAs(call: RunningCall, run: () => void): void {
  current.run(call, run);
}

/** The text that console.log would print. */
export function format(values: readonly unknown[]): string {
  return `${formatWithOptions({ colors: false }, ...values)}\n`;
}

const minuteMs = 60_000;
let bytesAMinute = 0;
let left = 0;
let dropped = 0;
let minuteBegan = 0;

/** To the daemon's log, which keeps so much a minute. */
export function log(text: string): void {
  const now = performance.now();
  if (now - minuteBegan > minuteMs) {
    if (dropped > 0) writeToLog(`\n[${dropped} more characters were printed]\n`);
    [minuteBegan, left, dropped] = [now, bytesAMinute, 0];
  }
  writeToLog(text.slice(0, left));
  dropped += Math.max(0, text.length - left);
  left -= Math.min(left, text.length);
}

function writeToLog(text: string): void {
  try {
    if (text !== "") writeSync(1, text);
  } catch {
    // Nobody reads the log any more, or the script closed the descriptor.
  }
}

/** Stands in for both streams before anybody looks at them: Node would make their descriptors lose what is not read at once. */
export function captureOutput(maxLogBytes: number): void {
  bytesAMinute = maxLogBytes;
  left = maxLogBytes;
  for (const name of ["stdout", "stderr"] as const) {
    const stream = new Writable({ decodeStrings: false, write });
    Object.defineProperty(process, name, { value: stream, configurable: true, enumerable: true, writable: true });
  }
}

function write(chunk: string | Uint8Array, _encoding: string, done: () => void): void {
  const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8");
  if (!currentCall()?.print(text)) log(text);
  done();
}

/** What one call prints, sent line by line, so that it is known even if the call never ends. Bounded. */
export class CallOutput {
  readonly #send: (text: string) => void;
  #left: number;
  #dropped = 0;
  #unsent = "";

  constructor(maxLength: number, send: (text: string) => void) {
    this.#left = maxLength;
    this.#send = send;
  }

  print(text: string): void {
    const taken = text.slice(0, this.#left);
    this.#left -= taken.length;
    this.#dropped += text.length - taken.length;
    this.#unsent += taken;
    const whole = this.#left === 0 || taken.includes("\n") || this.#unsent.length > longestUnsent;
    if (!whole || this.#unsent === "") return;
    this.#send(this.#unsent);
    this.#unsent = "";
  }

  /** What was not sent yet. */
  rest(): string {
    return this.#dropped > 0 ? `${this.#unsent}\n[${this.#dropped} more characters were printed]` : this.#unsent;
  }
}

const longestUnsent = 4_096;
