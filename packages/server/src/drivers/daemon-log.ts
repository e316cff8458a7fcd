import { copyFile, readFile, stat, truncate } from "node:fs/promises";

const mostLogBytes = 16 * 1024 * 1024;
const mostTailBytes = 4_096;

/** The end of a daemon's log, for whoever has to mend why it does not run. Lines that are not `telling` are left out. */
export async function lastWords(options: {
  program: string;
  log: string;
  telling?: (line: string) => boolean;
}): Promise<string> {
  const { program, log, telling = () => true } = options;
  const text = await readFile(log, "utf8").catch(() => "");
  const tail = text.slice(-mostTailBytes);
  // Where it was cut, half a line is left: nobody could tell what it belongs to.
  const whole = tail.length < text.length ? tail.slice(tail.indexOf("\n") + 1) : tail;
  const lines = (whole || tail).split("\n").filter((line) => line !== "" && telling(line));
  return `${program} ended; its log ${log} ends with: ${lines.slice(-3).join(" | ") || "(nothing)"}`;
}

/** Keeps a log and one older part of it, each within a bound. The daemon appends, so it may be cut while it writes. */
export async function boundLog(log: string): Promise<void> {
  const size = await stat(log).then(
    (found) => found.size,
    () => 0,
  );
  if (size < mostLogBytes) return;
  await copyFile(log, `${log}.1`);
  await truncate(log);
}
