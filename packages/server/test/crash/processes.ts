import { readdir, readFile } from "node:fs/promises";
import { sep } from "node:path";

export type Found = { pid: number; parent: number; name: string; words: string[] };

/**
 * Every process whose command line names something in this directory or has one of these words, or that descends from one
 * that does.
 */
export async function processesUnder(directory: string, ownWords: readonly string[] = []): Promise<Found[]> {
  const all = new Map<number, Found>();
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const [stat, cmdline, comm] = await Promise.all([read("stat"), read("cmdline"), read("comm")]);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (cmdline === "" || fields[0] === "Z") continue;
    all.set(pid, { pid, parent: Number(fields[1]), name: comm.trim(), words: cmdline.split("\0").slice(0, -1) });
  }
  const named = ({ words }: Found) =>
    words.some((word) => word.includes(`${directory}${sep}`) || ownWords.includes(word));
  const belongs = (found: Found | undefined): boolean =>
    found !== undefined && found.pid !== process.pid && (named(found) || belongs(all.get(found.parent)));
  return [...all.values()].filter(belongs);
}

/** False where it had ended. */
export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
