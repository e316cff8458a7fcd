import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ClientScript } from "@sallyport/protocol";
import { makePrivateDirectory, readOwnFile, replaceFile } from "../machine/private-directory.ts";

/** What a server last had for this account, kept so that it can be looked at without a connection. */
export type SeenScripts = {
  serverId: string;
  name: string;
  publicKeys: readonly string[];
  at: string;
  scripts: readonly ClientScript[];
};

const mostBytes = 80 * 1024 * 1024;

export async function rememberScripts(directory: string, seen: SeenScripts): Promise<void> {
  await makePrivateDirectory(directory);
  const name = createHash("sha256").update(seen.serverId).digest("hex").slice(0, 32);
  await replaceFile(join(directory, `${name}.json`), JSON.stringify(seen));
}

export async function seenScripts(directory: string): Promise<SeenScripts[]> {
  const seen: SeenScripts[] = [];
  for (const name of (await readdir(directory).catch(() => [])).filter((one) => one.endsWith(".json"))) {
    const text = await readOwnFile(join(directory, name), { uid: process.getuid?.() ?? 0, mostBytes });
    if (text !== undefined) seen.push(JSON.parse(text) as SeenScripts);
  }
  return seen;
}
