import { open } from "node:fs/promises";
import { SallyportError } from "../core/errors.ts";

const maxFileBytes = 1024 * 1024;

/** The whole text of a file of at most 1 MiB of UTF-8; what it is for goes into the message of a fault. */
export async function readTextFile(path: string, what: string): Promise<string> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    throw new SallyportError(
      error.code === "ENOENT" ? "not-found" : "invalid-input",
      `the ${what} ${path} cannot be read: ${reasonOf(error)}`,
    );
  });
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024));
      if (bytesRead === 0) break;
      chunks.push(buffer.subarray(0, bytesRead));
      size += bytesRead;
      if (size > maxFileBytes) {
        throw new SallyportError("invalid-input", `the ${what} ${path} is larger than 1 MiB`);
      }
    }
    return decode(Buffer.concat(chunks), `the ${what} ${path}`);
  } catch (error) {
    if (error instanceof SallyportError) throw error;
    throw new SallyportError("invalid-input", `the ${what} ${path} cannot be read: ${reasonOf(error)}`);
  } finally {
    await file.close();
  }
}

export function decode(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SallyportError("invalid-input", `${what} is not UTF-8 text`);
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
  EEXIST: "it exists already",
  ENOTDIR: "a part of the path is not a directory",
  ELOOP: "it is a symbolic link",
  ENOSPC: "the disk is full",
};

/** What the operating system complained of, in words. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return reasons[code ?? ""] ?? message;
}
