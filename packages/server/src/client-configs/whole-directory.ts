import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

const prefix = ".new-";
const staleMs = 3_600_000;

/**
 * Makes `parent/name` with these files in it, whole or not at all: nobody ever sees a part of it, whatever dies when.
 * False where it exists already, also if somebody else made it meanwhile; then nothing was changed. Modes are 0700 and
 * 0600, whatever the umask.
 */
export async function makeWholeDirectory(
  parent: string,
  name: string,
  files: Readonly<Record<string, string>>,
): Promise<boolean> {
  const draft = join(parent, `${prefix}${randomBytes(8).toString("hex")}`);
  await mkdir(draft, { mode: 0o700 });
  try {
    for (const [file, content] of Object.entries(files)) {
      await using handle = await open(join(draft, file), "wx", 0o600);
      await handle.writeFile(content);
      await handle.sync();
    }
    await syncDirectory(draft);
    try {
      await rename(draft, join(parent, name));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
      return false;
    }
    await syncDirectory(parent);
    return true;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Takes away what a process that was killed left half-made, keys included; not what one may be making now. */
export async function removeStaleDrafts(parent: string, now: Date): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue;
    const made = await stat(join(parent, name)).catch(() => undefined);
    if (made && now.getTime() - made.mtimeMs > staleMs) await rm(join(parent, name), { recursive: true, force: true });
  }
}

async function syncDirectory(path: string): Promise<void> {
  await using handle = await open(path, "r");
  await handle.sync();
}
