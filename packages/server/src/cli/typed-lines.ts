import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { SallyportError } from "../core/errors.ts";
import { Interrupted } from "./failure.ts";

/** Lines typed on a terminal, from the first question to the end of the command. */
export type TypedLines = {
  /** The next line; what is typed is shown only where `echo` says so. Errors: `invalid-input` at the end of input. */
  ask(prompt: string, echo: boolean): Promise<string>;
  close(): void;
};

/**
 * Takes the terminal over before anything is asked and keeps it, so that nothing of what is typed or pasted ahead is
 * shown or lost between two questions.
 */
export function openTypedLines(io: { stdin: NodeJS.ReadStream; stderr: NodeJS.WriteStream }): TypedLines {
  let shown = false;
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (shown) io.stderr.write(chunk);
      done();
    },
  });
  const ahead: string[] = [];
  let closed = false;
  let waiting: { resolve(line: string): void; reject(error: Error): void } | undefined;
  const takeWaiting = () => {
    const taken = waiting;
    waiting = undefined;
    return taken;
  };
  const reader = createInterface({ input: io.stdin, output, terminal: true, historySize: 0, prompt: "" });
  reader.on("line", (line) => {
    const asked = takeWaiting();
    if (asked) asked.resolve(line);
    else ahead.push(line);
  });
  reader.on("SIGINT", () => {
    const asked = takeWaiting();
    reader.close();
    // While the daemon is waited for, Ctrl-C means what it always does.
    if (asked) asked.reject(new Interrupted("interrupted"));
    else process.kill(process.pid, "SIGINT");
  });
  reader.on("close", () => {
    closed = true;
    takeWaiting()?.reject(new SallyportError("invalid-input", "no answer was given"));
  });

  const nextLine = () =>
    new Promise<string>((resolve, reject) => {
      const line = ahead.shift();
      if (line !== undefined) resolve(line);
      else if (closed) reject(new SallyportError("invalid-input", "no answer was given"));
      else waiting = { resolve, reject };
    });

  return {
    async ask(prompt, echo) {
      shown = echo;
      if (echo) {
        reader.setPrompt(prompt);
        reader.prompt();
      } else io.stderr.write(prompt);
      try {
        return await nextLine();
      } finally {
        shown = false;
        if (!echo) io.stderr.write("\n");
      }
    },
    close: () => reader.close(),
  };
}
