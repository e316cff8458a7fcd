import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";

const lookings = 6;
const lookAgainMs = 200;

/** Kills a program's process group, only while the number still stands for the leader of a session. */
export async function killLeader(pid: number): Promise<void> {
  const group = await groupOf(pid);
  if (group?.leads) killGroup(pid);
}

/**
 * Kills programs whose start was never told of: their standard input bears a name of ours. One that was just being
 * started has that name only in a moment, so they are looked for more than once.
 */
export async function killTagged(tags: Set<string>): Promise<void> {
  for (let looked = 0; tags.size > 0 && looked < lookings; looked += 1) {
    if (looked > 0) await wait(lookAgainMs, undefined, { ref: false });
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const input = await readlink(`/proc/${name}/fd/0`).catch(() => "");
      const [, tag = ""] = /^\/memfd:(\S+)/.exec(input) ?? [];
      if (!tags.has(tag)) continue;
      const group = await groupOf(Number(name));
      if (group === undefined) continue;
      killGroup(group.id);
      tags.delete(tag);
    }
  }
}

async function groupOf(pid: number): Promise<{ id: number; leads: boolean } | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1");
    const [, , group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { id: Number(group), leads: Number(group) === pid && Number(session) === pid };
  } catch {
    return undefined; // It has ended.
  }
}

function killGroup(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // It has ended.
  }
}
