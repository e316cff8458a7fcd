import { constants, type FileHandle, open } from "node:fs/promises";

type Waiting = { line: string; written: () => void; failed: (error: unknown) => void };

const { O_APPEND, O_CREAT, O_EXCL, O_NONBLOCK, O_NOFOLLOW, O_RDWR } = constants;
/** Nobody who may not read the daemon's own files reads this one, but its group may (a log shipper). */
const mode = 0o640;
const mostLinesAtOnce = 1_000;

/**
 * Appends whole lines to a file. It is opened anew each time, so that one moved away (log rotation) is followed by a new
 * one. A line is either there whole or not at all: what a full disk left of it is taken back, and what a power cut left
 * is closed with a line end. Lines that come while others are being written are written together.
 */
export class LineFile {
  readonly #path: string;
  readonly #sync: boolean;
  #waiting: Waiting[] = [];
  #writing = false;

  constructor(options: { path: string; sync: boolean }) {
    this.#path = options.path;
    this.#sync = options.sync;
  }

  /** Resolves when the line is in the file (`sync`: on the disk). Rejects where it is not. */
  append(line: string): Promise<void> {
    return new Promise((written, failed) => {
      this.#waiting.push({ line, written, failed });
      if (!this.#writing) void this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, mostLinesAtOnce);
      try {
        await this.#write(batch.map(({ line }) => `${line}\n`).join(""));
        for (const { written } of batch) written();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    this.#writing = false;
  }

  async #write(text: string): Promise<void> {
    await using file = await openToAppend(this.#path);
    const found = await file.stat();
    if (!found.isFile()) throw new Error(`${this.#path} is not a file`);
    const bytes = Buffer.from(`${(await endsInsideLine(file, found.size)) ? "\n" : ""}${text}`);
    try {
      const { bytesWritten } = await file.write(bytes);
      if (bytesWritten < bytes.length) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
      if (this.#sync) await file.datasync();
    } catch (error) {
      await file.truncate(found.size).catch(() => {});
      throw error;
    }
  }
}

/** A new file gets its mode whatever the umask; one that is there keeps its own. Never waits for a pipe's reader. */
async function openToAppend(path: string): Promise<FileHandle> {
  const flags = O_RDWR | O_APPEND | O_NONBLOCK;
  try {
    const made = await open(path, flags | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    await made.chmod(mode);
    return made;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return await open(path, flags);
  }
}

async function endsInsideLine(file: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return false;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 1 && buffer[0] !== 0x0a;
}
