import { createInterface, type Interface } from "node:readline";
import { Writable } from "node:stream";
import { AgentFailure } from "../failure.ts";
import { onLines } from "../fit-for-terminal.ts";

export type Question = {
  prompt: string;
  echo: boolean;
  what: string;
  signal?: AbortSignal | undefined;
  /** What was typed before the question was seen is no answer to it. */
  afresh?: boolean;
};

/** Where answers come from: asked one by one on a terminal, or else a line each of standard input. */
export type Questions = {
  onTerminal: boolean;
  /** @throws AgentFailure where no answer comes; `signal` ends the wait */
  ask(question: Question): Promise<string>;
  /** Lets the process end though standard input is still open. */
  close(): void;
};

type Waiting = { resolve(line: string): void; reject(error: Error): void };

const mostLineBytes = 64 * 1024;

/**
 * Questions go to standard error. On a terminal nothing that is typed is shown unless the question says so, from the
 * first question on, so that what is typed ahead is not shown either.
 */
export function questionsOn(io: {
  stdin: NodeJS.ReadStream;
  stderr: NodeJS.WriteStream;
  /** Ctrl-C while a terminal is being read. */
  onInterrupt: () => void;
}): Questions {
  const onTerminal = io.stdin.isTTY === true;
  const ahead: string[] = [];
  let shown = false;
  let closed = false;
  let reader: Interface | undefined;
  let waiting: Waiting | undefined;
  /** One question at a time. */
  let turn: Promise<unknown> = Promise.resolve();

  const take = () => {
    const taken = waiting;
    waiting = undefined;
    return taken;
  };
  const open = () => {
    io.stdin.on("error", () => undefined);
    const output = new Writable({
      write(chunk: Buffer, _encoding, done) {
        if (shown) io.stderr.write(chunk);
        done();
      },
    });
    reader = createInterface({ input: io.stdin, output, terminal: onTerminal, historySize: 0, prompt: "" });
    // A terminal that is gone cannot be set back to how it was.
    reader.on("error", () => undefined);
    reader.on("line", (line) => {
      if (line.length > mostLineBytes) return reader?.close();
      // What follows in the same paste is the answer to another question.
      shown = false;
      const asked = take();
      if (asked) asked.resolve(line);
      else ahead.push(line);
    });
    reader.on("SIGINT", () => {
      if (shown) io.stderr.write("\n");
      take()?.reject(new AgentFailure("interrupted", "Interrupted."));
      io.onInterrupt();
    });
    reader.on("close", () => {
      closed = true;
      take()?.reject(noAnswer());
    });
  };
  const nextLine = (signal: AbortSignal | undefined) =>
    new Promise<string>((resolve, reject) => {
      const line = ahead.shift();
      if (line !== undefined) return resolve(line);
      if (closed) return reject(noAnswer());
      const abort = () => take()?.reject(new AgentFailure("failed", "the question is no longer needed"));
      if (signal?.aborted) return reject(new AgentFailure("failed", "the question is no longer needed"));
      signal?.addEventListener("abort", abort);
      const settled = () => signal?.removeEventListener("abort", abort);
      waiting = {
        resolve: (text) => {
          settled();
          resolve(text);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
    });
  const askNow = async ({ prompt, echo, signal, afresh = false }: Question): Promise<string> => {
    if (reader === undefined) open();
    if (!onTerminal) return await nextLine(signal);
    if (afresh) {
      ahead.splice(0);
      reader?.write(null, { ctrl: true, name: "e" });
      reader?.write(null, { ctrl: true, name: "u" });
    }
    shown = echo;
    const text = onLines(prompt);
    if (echo) {
      const lines = text.split("\n");
      const last = lines.pop() ?? "";
      if (lines.length > 0) io.stderr.write(`${lines.join("\n")}\n`);
      reader?.setPrompt(last);
      reader?.prompt();
    } else io.stderr.write(text);
    try {
      return await nextLine(signal);
    } finally {
      shown = false;
      if (!echo) io.stderr.write("\n");
    }
  };

  return {
    onTerminal,
    ask: (question) => {
      const answer = turn.then(() => askNow(question));
      turn = answer.catch(() => undefined);
      return answer;
    },
    close: () => {
      reader?.close();
      if (reader !== undefined) io.stdin.destroy();
    },
  };

  function noAnswer(): AgentFailure {
    const how = onTerminal ? "" : " Standard input has no more lines.";
    return new AgentFailure("failed", `An answer was needed and none was given.${how}`);
  }
}
