import { execFile } from "node:child_process";
import { open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** A small disk in memory, mounted over a directory, that can be filled to the last block and emptied again. */
export type SmallDisk = AsyncDisposable & {
  fill(): Promise<void>;
  free(): Promise<void>;
};

/** Enough for what thousands of faults leave in the database and in the logs of VPN daemons. */
const sizeMegabytes = 192;

export async function mountSmallDisk(directory: string): Promise<SmallDisk> {
  const options = `size=${sizeMegabytes}m,mode=0711`;
  await execute("mount", ["-t", "tmpfs", "-o", options, "sallyport-crash", directory]);
  const filler = join(directory, "filler");
  return {
    fill: async () => {
      const file = await open(filler, "a");
      try {
        // Whoever else writes takes blocks too, so what is free is asked until nothing is.
        for (let tries = 0; tries < 50; tries++) {
          const { bavail, bsize } = await statfs(directory);
          if (bavail === 0) return;
          const written = await file.write(Buffer.alloc(Math.min(bavail * bsize, 8 * 1024 * 1024))).then(
            () => true,
            () => false,
          );
          if (!written) return;
        }
      } finally {
        await file.close();
      }
    },
    free: () => rm(filler, { force: true }),
    // Lazily: whoever still has a file open there goes on until it ends.
    [Symbol.asyncDispose]: async () => void (await execute("umount", ["-l", directory])),
  };
}
