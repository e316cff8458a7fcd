import { open } from "node:fs/promises";
import { SallyportError } from "../core/errors.ts";
import { Refusal } from "./failure.ts";

const maxFileBytes = 1024 * 1024;

/** The whole text of a file of at most 1 MiB of UTF-8; what it is for goes into the message of a fault. */
export async function readTextFile(path: string, what: string): Promise<string> {
  return decode(await readBytes(path, { what, maxBytes: maxFileBytes }), `the ${what} ${path}`);
}

/** Reads no more than is allowed, whatever is behind the name. Errors: `not-found`, `invalid-input`. */
export async function readBytes(path: string, options: { what: string; maxBytes: number }): Promise<Buffer> {
  const { what, maxBytes } = options;
  const unreadable = (error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code === "ENOENT" ? "not-found" : "invalid-input";
    const message = `the ${what} ${path} cannot be read: ${reasonOf(error)}`;
    return new Refusal({ code, message, next: "Name a file that this account can read." });
  };
  try {
    await using file = await open(path, "r");
    const chunks: Buffer[] = [];
    for (let size = 0; size <= maxBytes; ) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024));
      if (bytesRead === 0) return Buffer.concat(chunks);
      chunks.push(buffer.subarray(0, bytesRead));
      size += bytesRead;
    }
  } catch (error) {
    throw unreadable(error);
  }
  throw new SallyportError("invalid-input", `the ${what} ${path} is larger than ${maxBytes / 1024 / 1024} MiB`);
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
