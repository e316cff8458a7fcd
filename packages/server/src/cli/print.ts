import type { Cli, CliIo } from "./cli.ts";
import { failureOf, Interrupted, UsageError } from "./failure.ts";
import { visible, visibleLines } from "./for-people.ts";
import { reasonOf } from "./read-text.ts";

type Printing = Pick<Cli, "print" | "printList" | "note">;

export function printingTo(io: CliIo, json: boolean): Printing {
  const note = (text: string) => {
    if (!json) io.stderr.write(`${visibleLines(text)}\n`);
  };
  const print: Printing["print"] = (result, forPeople) => {
    const text = json ? jsonText(result) : forPeople(result);
    if (text !== "") io.stdout.write(text);
  };
  const printList: Printing["printList"] = (items, none, forPeople) => {
    if (items.length === 0 && !json) note(none);
    else print(items, forPeople);
  };
  return { note, print, printList };
}

/** Indented where a person may look on; names come out with control characters escaped, as JSON does anyway. */
function jsonText(result: unknown): string {
  return `${JSON.stringify(result ?? null, null, 2).replace(/[\u007f-\u009f\u2028\u2029]/g, escapeUnit)}\n`;
}

function escapeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Tells what went wrong on standard error and gives the exit status. */
export function reportFailure(error: unknown, io: CliIo, json: boolean): number {
  if (error instanceof Interrupted) return 130;
  if (error instanceof UsageError) {
    io.stderr.write(`sallyport: ${visibleLines(error.message)}\n`);
    return 2;
  }
  const failure = failureOf(error);
  if (json) io.stderr.write(jsonText({ error: failure }));
  else
    io.stderr.write(
      `sallyport: ${visible(failure.code)}: ${visibleLines(failure.message)}\n  ${nextStep(failure.next)}\n`,
    );
  return 1;
}

function nextStep(next: string): string {
  return `Next: ${visible(next)}`;
}

/**
 * Whether what was printed got out. `sallyport … | head` ends quietly: nobody is there to read the rest. A file on a
 * full disk is told of, and is a failure: a client config that was cut off would pass for whole.
 */
export function watchOutput(io: CliIo): { failed(): boolean } {
  let failed = false;
  io.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return;
    if (!failed) io.stderr.write(`sallyport: what was to be printed could not be written: ${reasonOf(error)}\n`);
    failed = true;
  });
  // Nobody is left to tell.
  io.stderr.on("error", () => {});
  return { failed: () => failed };
}
