import { randomBytes } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { makePrivateDirectory, writeNewFile } from "../machine/private-directory.ts";
import { isAlive, startTimeOf } from "../machine/processes.ts";

/** The name of an interface to be made, and whose it is written down: some outlive the agent that made them. */
export async function nameInterface(base: string): Promise<{ name: string; forget(): Promise<void> }> {
  const name = `wgs${randomBytes(4).toString("hex")}`;
  const owner = join(base, `${name}.owner`);
  await writeNewFile(owner, `${process.pid} ${(await startTimeOf(process.pid)) ?? 0}\n`, 0o600);
  return { name, forget: () => rm(owner, { force: true }) };
}

/** Has the interfaces of agents removed that were killed; makes the directory in which they are written down. */
export async function sweepInterfaces(base: string, remove: (name: string) => Promise<unknown>): Promise<void> {
  await makePrivateDirectory(base);
  for (const file of await readdir(base)) {
    const [, name] = /^(wgs[0-9a-f]{8})\.owner$/.exec(file) ?? [];
    if (name === undefined) continue;
    const [pid, startTime] = (await readFile(join(base, file), "utf8").catch(() => "")).trim().split(" ");
    if (await isAlive(pid, startTime)) continue;
    await remove(name).catch(() => undefined);
    await rm(join(base, file), { force: true });
  }
}
