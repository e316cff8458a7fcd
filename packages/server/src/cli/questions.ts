import { Writable } from "node:stream";
import { SallyportError } from "../core/errors.ts";
import { Interrupted } from "./failure.ts";
import { visibleLines } from "./for-people.ts";
import { decode } from "./read-text.ts";

const maxLineBytes = 64 * 1024;

/**
 * Where answers come from: asked one by one on a terminal, or else a line each on standard input. Questions go to
 * standard error, so that standard output stays the command's own.
 */
export type Questions = {
  onTerminal: boolean;
  /** One answer without its line end. `what` names it in a fault. Errors: `invalid-input` where none comes. */
  ask(question: { prompt: string; echo: boolean; what: string }): Promise<string>;
  /** The next line of standard input, terminal or not. */
  line(what: string): Promise<string>;
  /** Lets the process end though standard input is still open. */
  close(): void;
};

export function questionsOn(io: { stdin: NodeJS.ReadStream; stderr: NodeJS.WriteStream }): Questions {
  const onTerminal = io.stdin.isTTY === true;
  const lines = readLines(io.stdin);
  const line = async (what: string) => {
    const next = await lines.next();
    if (next.done) throw new SallyportError("invalid-input", `standard input ended where ${what} was to be read`);
    return next.value;
  };
  let used = false;
  return {
    onTerminal,
    async ask({ prompt, echo, what }) {
      used = true;
      return onTerminal ? await askOnTerminal(io, visibleLines(prompt), echo) : await line(what);
    },
    async line(what) {
      used = true;
      return await line(what);
    },
    close() {
      if (used) io.stdin.destroy();
    },
  };
}

async function* readLines(stdin: NodeJS.ReadStream): AsyncGenerator<string, void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      yield lineOf(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
    }
    if (rest.length > maxLineBytes) throw new SallyportError("invalid-input", "a line on standard input is too long");
  }
  if (rest.length > 0) yield lineOf(rest);
}

function lineOf(bytes: Buffer): string {
  if (bytes.length > maxLineBytes) throw new SallyportError("invalid-input", "a line on standard input is too long");
  return decode(bytes, "standard input").replace(/\r$/, "");
}

async function askOnTerminal(
  io: { stdin: NodeJS.ReadStream; stderr: NodeJS.WriteStream },
  prompt: string,
  echo: boolean,
): Promise<string> {
  const { createInterface } = await import("node:readline");
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const output = echo ? io.stderr : silent;
  const reader = createInterface({ input: io.stdin, output, terminal: true, historySize: 0 });
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.once("SIGINT", () => reject(new Interrupted("interrupted")));
      reader.once("close", () => reject(new SallyportError("invalid-input", "no answer was given")));
      if (!echo) io.stderr.write(prompt);
      reader.question(echo ? prompt : "", resolve);
    });
  } finally {
    reader.close();
    if (!echo) io.stderr.write("\n");
  }
}
