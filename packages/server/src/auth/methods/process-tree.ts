import { readdir, readFile } from "node:fs/promises";

/**
 * Kills a process and all it started, those in sessions of their own too (modules such as pam_exec begin one). It is
 * stopped first, so that nothing is started meanwhile.
 */
export async function killTree(pid: number): Promise<void> {
  signal(pid, "SIGSTOP");
  const below = await descendants(pid);
  for (const one of [pid, ...below]) signal(one, "SIGKILL");
}

/** From proc(5); a process that ends while it is looked at has none. */
async function descendants(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, "utf8").catch(() => "")),
  );
  const children = lists.join(" ").split(" ").filter(Boolean).map(Number);
  for (const child of children) signal(child, "SIGSTOP");
  return [...children, ...(await Promise.all(children.map(descendants))).flat()];
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself meanwhile.
  }
}
