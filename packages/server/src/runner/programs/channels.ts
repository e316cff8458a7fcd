import { execFile } from "node:child_process";
import { closeSync, constants, open as openByCallback } from "node:fs";
import { type FileHandle, mkdtemp, open, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/**
 * What a program reads from and writes to. Node gives its children sockets, which cannot be opened again through
 * /dev/stdin, /dev/stdout and /dev/stderr: a script's `echo … > /dev/stderr` would fail. So standard input is an
 * unlinked file, and output a real pipe, the same for both streams, so that lines stay in the order they were written.
 */
export type OutputPipe = { readFd: number; writeFd: number };

const pipesAtOnce = 16;
const openFd = promisify(openByCallback);

/** Node cannot make pipes: mkfifo makes a few at a time, whose names are gone as soon as they are open. */
export function createPipeSource(): () => Promise<OutputPipe> {
  const ready: OutputPipe[] = [];
  let making: Promise<void> | undefined;
  return async () => {
    for (;;) {
      const pipe = ready.pop();
      if (pipe !== undefined) return pipe;
      making ??= makePipes(ready).finally(() => {
        making = undefined;
      });
      await making;
    }
  };
}

async function makePipes(into: OutputPipe[]): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "sallyport-pipes-"));
  try {
    const paths = Array.from({ length: pipesAtOnce }, (_, i) => join(directory, String(i)));
    await mkfifo(paths);
    for (const path of paths) into.push(await openPipe(path));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function mkfifo(paths: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    // Anybody may write: another account's program opens its /dev/stderr anew. Nobody else finds it by name.
    const options = { timeout: 10_000, env: { PATH: "/usr/bin:/bin" } };
    execFile("mkfifo", ["-m", "0666", "--", ...paths], options, (error) => (error ? reject(error) : resolve()));
  });
}

async function openPipe(path: string): Promise<OutputPipe> {
  const readFd = await openFd(path, constants.O_RDONLY | constants.O_NONBLOCK, undefined);
  try {
    return { readFd, writeFd: await openFd(path, constants.O_WRONLY, undefined) };
  } catch (error) {
    closeSync(readFd);
    throw error;
  }
}

/** A file that holds `text`, open for reading from its start and reachable under no name. */
export async function inputFile(text: string): Promise<FileHandle> {
  const directory = await mkdtemp(join(tmpdir(), "sallyport-input-"));
  const path = join(directory, "stdin");
  try {
    await using writing = await open(path, "wx", 0o600);
    await writing.writeFile(text, "utf8");
    await writing.chmod(0o444);
    return await open(path, "r");
  } finally {
    await rm(path, { force: true });
    await rmdir(directory);
  }
}
