import { readdir, readFile } from "node:fs/promises";

const ticksASecond = 100;

/** CPU time in milliseconds that these processes, and children of theirs that have ended, have used so far. */
export async function cpuMs(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    // proc(5): utime, stime, cutime, cstime are fields 14 to 17, and the state, the first here, is 3.
    for (const field of fields.slice(11, 15)) ticks += Number(field);
  }
  return (ticks * 1_000) / ticksASecond;
}

/** Whatever descends from a process, itself included. */
export async function familyOf(pid: number): Promise<number[]> {
  const children: number[] = [];
  for (const task of await readdir(`/proc/${pid}/task`).catch(() => [])) {
    const text = await readFile(`/proc/${pid}/task/${task}/children`, "utf8").catch(() => "");
    children.push(...text.split(" ").filter(Boolean).map(Number));
  }
  return [pid, ...(await Promise.all(children.map(familyOf))).flat()];
}
