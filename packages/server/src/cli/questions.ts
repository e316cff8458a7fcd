import { SallyportError } from "../core/errors.ts";
import { visibleLines } from "./for-people.ts";
import { decode } from "./read-text.ts";
import type { TypedLines } from "./typed-lines.ts";

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
  let used = false;
  let typed: Promise<TypedLines> | undefined;
  const line = async (what: string) => {
    used = true;
    const next = await lines.next();
    if (next.done) throw new SallyportError("invalid-input", `standard input ended where ${what} was to be read`);
    return next.value;
  };
  return {
    onTerminal,
    async ask({ prompt, echo, what }) {
      if (!onTerminal) return await line(what);
      used = true;
      typed ??= import("./typed-lines.ts").then(({ openTypedLines }) => openTypedLines(io));
      return await (await typed).ask(visibleLines(prompt), echo);
    },
    line,
    close() {
      typed?.then((open) => open.close());
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
