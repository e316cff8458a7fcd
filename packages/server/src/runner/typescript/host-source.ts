import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const directory = fileURLToPath(new URL("../../../../sdk/typescript/", import.meta.url));

/** The SDK and its host as text: what the daemon can read, the account a script runs as need not. */
export type HostSource = {
  /** Given to `node -e`; takes the modules from the pipe. */
  boot: string;
  /** By path within the SDK (`host/main.ts`). */
  modules: Record<string, string>;
};

const boot = "host/boot.ts";

export async function readHostSource(): Promise<HostSource> {
  const names = (await readdir(directory, { recursive: true })).filter((name) => name.endsWith(".ts"));
  const read = async (name: string) => [name, await readFile(directory + name, "utf8")] as const;
  const { [boot]: first = "", ...modules } = Object.fromEntries(await Promise.all(names.map(read)));
  return { boot: first, modules };
}
