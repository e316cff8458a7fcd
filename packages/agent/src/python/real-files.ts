import { readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

/** What is used of Emscripten's file system. */
export type FileSystem = {
  mkdirTree(path: string): void;
  symlink(target: string, path: string): void;
  mount(type: unknown, options: { root: string }, path: string): void;
  filesystems: Record<string, unknown>;
  getStream(descriptor: number): { nfd?: number } | null;
};

/** Directories that Python's own files and devices live in. */
const pythons = ["lib", "dev", "proc"];

/**
 * Lays the machine's directories over Python's own, so that paths mean what they mean elsewhere. On unix every directory
 * of `/` except `/lib`, `/dev` and `/proc`; on Windows drive C as `/c` and so on (windows_paths.py turns paths).
 */
export function layRealFiles(files: FileSystem, roots: readonly { from: string; to: string }[]): void {
  for (const { from, to } of roots) {
    try {
      files.mkdirTree(to);
      files.mount(files.filesystems.NODEFS, { root: from }, to);
    } catch {
      // A directory that this account may not look into is not there for its script either.
    }
  }
}

export function unixRoots(files: FileSystem): { from: string; to: string }[] {
  const roots: { from: string; to: string }[] = [];
  for (const entry of readdirSync("/", { withFileTypes: true })) {
    const path = join("/", entry.name);
    if (pythons.includes(entry.name)) continue;
    if (entry.isDirectory()) roots.push({ from: path, to: path });
    else if (entry.isSymbolicLink()) {
      try {
        if (statSync(path).isDirectory()) files.symlink(readlinkSync(path), path);
      } catch {
        // It leads nowhere.
      }
    }
  }
  return roots;
}

export function windowsRoots(): { from: string; to: string }[] {
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  const roots = letters.map((letter) => ({ from: `${letter.toUpperCase()}:\\`, to: `/${letter}` }));
  return roots.filter(({ from }) => {
    try {
      return statSync(from).isDirectory();
    } catch {
      return false;
    }
  });
}
