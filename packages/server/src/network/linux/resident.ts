import { type ChildProcess, spawn } from "node:child_process";
import { type Ran, type RunProgram, systemEnvironment } from "../../core/system-program.ts";

/** What a run by `RunProgram` is in a program that stays, and how its answer ends. */
type Manner = {
  program: "nft" | "ip";
  args: readonly string[];
  /** One line or more; the program's answer to the last of them is how we know that it is through. */
  feed(input: string, number: number): string;
  /** What it said before the answer to our own last line; null where that has not come yet. */
  said(output: string, number: number): string | null;
};

/**
 * `nft -i` takes each line as one transaction, and answers on its error output, in order, what failed and nothing else.
 * A look at a table that cannot be there always fails, naming it, so it marks the end of what was asked before.
 */
const nft: Manner = {
  program: "nft",
  args: ["-i"],
  feed: (input, number) => `${input.trim().replaceAll(/\s*\n\s*/g, "; ")}\nlist table inet ${asked(number)}\n`,
  said: (output, number) =>
    before(output, new RegExp(`Error: [^\\n]*\\nlist table inet ${asked(number)}\\n\\s*\\^+\\n`)),
};

/** `ip -force -batch -` takes line after line and names each that failed. A word that it does not know marks the end. */
const ip: Manner = {
  program: "ip",
  args: ["-force", "-batch", "-"],
  feed: (input, number) => `${input.trim()}\n${asked(number)}\n`,
  said: (output, number) =>
    before(output, new RegExp(`Object "${asked(number)}" is unknown[^\\n]*\\nCommand failed -:\\d+\\n`)),
};

const asked = (number: number) => `sallyport-end-${number}`;

function before(output: string, end: RegExp): string | null {
  const at = output.search(end);
  return at === -1 ? null : output.slice(0, at);
}

/** Longer texts are worth a process of their own: a whole table, the routes of everybody. */
const longestInput = 32 * 1024;
/** They remember what they were told (`nft -i` keeps a history), so they are replaced now and then. */
const mostRuns = 2_000;
const mostOutput = 256 * 1024;

/**
 * Runs the short changes that each connection needs in an `nft` and an `ip` that stay, and everything else in processes
 * of their own: starting a process costs ten times what the change does, and stops the daemon's loop meanwhile. The
 * programs end with us, as their input does. Never rejects.
 */
export function createResidentPrograms(options: { run: RunProgram; deadlineMs: number }): {
  run: RunProgram;
  close(): void;
} {
  const residents = new Map<string, Resident>();
  for (const manner of [nft, ip]) residents.set(manner.program, new Resident(manner, options.deadlineMs));
  return {
    async run(program, args, input = "") {
      const resident = residents.get(program);
      const change = program === "nft" ? args.join(" ") === "-f -" : args.join(" ") === "-force -batch -";
      if (resident && change && input.length <= longestInput && input.trim() !== "") {
        const ran = await resident.run(input);
        if (ran.ok) return ran;
        // It may be the program that is out of date (`ip` remembers the numbers of devices that were made anew since):
        // a fresh one has the last word. A transaction that failed changed nothing, and routes may be set twice.
        resident.close();
      }
      return options.run(program, args, input);
    },
    close() {
      for (const resident of residents.values()) resident.close();
    },
  };
}

class Resident {
  readonly #manner: Manner;
  readonly #deadlineMs: number;
  #running: { child: ChildProcess; runs: number; output: string } | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(manner: Manner, deadlineMs: number) {
    this.#manner = manner;
    this.#deadlineMs = deadlineMs;
  }

  /** One after the other, as they come. */
  run(input: string): Promise<Ran> {
    const next = this.#last.then(() => this.#ask(input));
    this.#last = next;
    return next;
  }

  close(): void {
    this.#running?.child.stdin?.end();
    this.#running = undefined;
  }

  #ask(input: string): Promise<Ran> {
    const running = this.#running ?? this.#start();
    const { child } = running;
    const manner = this.#manner;
    running.runs += 1;
    running.output = "";
    return new Promise((resolve) => {
      const settle = (stderr: string, fault: boolean) => {
        clearTimeout(timer);
        child.stderr?.off("data", read);
        child.off("close", ended);
        if (fault) child.kill("SIGKILL");
        if (fault || running.runs >= mostRuns) this.#forget(running);
        resolve({ ok: stderr === "", stdout: "", stderr });
      };
      const read = (chunk: Buffer) => {
        running.output += chunk.toString();
        const said = manner.said(running.output, running.runs);
        if (said !== null) settle(said, false);
        else if (running.output.length > mostOutput) settle(running.output.slice(0, 1_000), true);
      };
      const ended = () => settle(`${manner.program} ended: ${running.output.slice(0, 1_000).trim()}`, true);
      const late = () => settle(`${manner.program} was killed after ${this.#deadlineMs} ms`, true);
      const timer = setTimeout(late, this.#deadlineMs);
      child.stderr?.on("data", read);
      child.once("close", ended);
      child.stdin?.write(manner.feed(input, running.runs));
    });
  }

  #start() {
    const { program, args } = this.#manner;
    const child = spawn(program, args, { env: systemEnvironment, stdio: ["pipe", "ignore", "pipe"] });
    // That it is gone is seen by its end; nobody waits for it while it has nothing to do.
    child.stdin?.on("error", () => undefined);
    child.on("error", () => undefined);
    child.unref();
    const running = { child, runs: 0, output: "" };
    child.once("close", () => this.#forget(running));
    this.#running = running;
    return running;
  }

  #forget(running: object): void {
    if (this.#running !== running) return;
    this.#running.child.stdin?.end();
    this.#running = undefined;
  }
}
