import { constants } from "node:fs";
import { open, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { asEntry } from "../fit-for-terminal.ts";
import { makePrivateDirectory } from "./private-directory.ts";

/** What the agent did and what scripts printed, for whoever looks later; one file and one older one, bounded. */
export type AgentLog = { write(text: string): void; written(): Promise<void> };

const mostBytes = 1024 * 1024;
const mostEntryBytes = 128 * 1024;

export function openAgentLog(path: string): AgentLog {
  let last = Promise.resolve();
  const append = async (text: string) => {
    await makePrivateDirectory(dirname(path));
    const present = await stat(path).catch(() => undefined);
    if (present !== undefined && present.size > mostBytes) await rename(path, `${path}.1`);
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
    await using file = await open(path, flags, 0o600);
    await file.write(`${new Date().toISOString()} ${text.slice(0, mostEntryBytes)}\n`);
  };
  return {
    // A log that cannot be written stops nothing.
    write: (text) => {
      last = last.then(() => append(asEntry(text))).catch(() => undefined);
    },
    written: () => last,
  };
}
