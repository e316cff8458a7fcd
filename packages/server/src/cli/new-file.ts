import { randomBytes } from "node:crypto";
import { constants, type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { SallyportError } from "../core/errors.ts";
import { reasonOf } from "./read-text.ts";

/**
 * A file that only its owner can read (mode 0600), claimed before what goes into it is made, so that nothing is made
 * in vain. Never follows a symbolic link. Without `force` nothing that exists is touched; with it the old file stands
 * until the new one is whole. Errors: `already-exists`, `invalid-input` where it cannot be written.
 */
export async function claimPrivateFile(
  path: string,
  { force }: { force: boolean },
): Promise<{ write(text: string): Promise<void>; abandon(): Promise<void> }> {
  const target = force ? join(dirname(path), `.${basename(path)}.${randomBytes(4).toString("hex")}`) : path;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  let file: FileHandle;
  try {
    file = await open(target, flags, 0o600);
  } catch (error) {
    throw cannotWrite(path, error);
  }
  const abandon = async () => {
    await file.close();
    await rm(target, { force: true });
  };
  return {
    abandon,
    async write(text) {
      try {
        await file.chmod(0o600);
        await file.writeFile(text);
        await file.sync();
        if (force) await rename(target, path);
      } catch (error) {
        await abandon();
        throw cannotWrite(path, error);
      }
      await file.close();
    },
  };
}

function cannotWrite(path: string, error: unknown): SallyportError {
  if ((error as NodeJS.ErrnoException).code === "EEXIST") {
    return new SallyportError("already-exists", `${path} exists already: overwrite it with --force`);
  }
  return new SallyportError("invalid-input", `${path} cannot be written: ${reasonOf(error)}`);
}
