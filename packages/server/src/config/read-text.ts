import { isUtf8 } from "node:buffer";
import { constants, type FileHandle, open } from "node:fs/promises";

export type FileText = { text: string /** Permission bits. */; mode: number };

/**
 * Reads a small UTF-8 file whole (a byte order mark is dropped), or says in words what is in its place. Never waits on
 * a pipe or a device, and never reads more than `maxBytes`.
 */
export async function readText(file: string, maxBytes: number): Promise<FileText | { trouble: string }> {
  try {
    // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await handle.stat();
    if (stat.isDirectory()) return { trouble: "a directory" };
    if (!stat.isFile()) return { trouble: "something that is no regular file" };
    const bytes = await readUpTo(handle, maxBytes + 1);
    if (bytes.length > maxBytes) return { trouble: `a file of more than ${maxBytes} bytes` };
    if (!isUtf8(bytes)) return { trouble: `bytes that are not UTF-8 on line ${lineOfBrokenUtf8(bytes)}` };
    const text = bytes.toString("utf8");
    return { text: text.startsWith("\ufeff") ? text.slice(1) : text, mode: stat.mode & 0o777 };
  } catch (error) {
    return { trouble: troubleOf(error) };
  }
}

async function readUpTo(handle: FileHandle, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

function lineOfBrokenUtf8(bytes: Buffer): number {
  const mended = Buffer.from(bytes.toString("utf8"));
  const at = bytes.findIndex((byte, i) => byte !== mended[i]);
  return bytes.subarray(0, at).filter((byte) => byte === 0x0a).length + 1;
}

const troubles: Record<string, string> = {
  ENOENT: "no file there",
  ENOTDIR: "no file there",
  EACCES: "a file this account may not read",
  EPERM: "a file this account may not read",
  ELOOP: "a link that goes round in circles",
  ENXIO: "something that is no regular file",
  ENAMETOOLONG: "a name too long for a file",
};

/** A file system's error in words. */
export function troubleOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
  return troubles[code] ?? `a file that cannot be read (${code})`;
}
