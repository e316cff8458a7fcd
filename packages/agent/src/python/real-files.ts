import { mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What is used of Emscripten's file system. */
export type FileSystem = {
  mkdirTree(path: string): void;
  symlink(target: string, path: string): void;
  mount(type: unknown, options: { root: string }, path: string): void;
  filesystems: { NODEFS: NodeFiles };
  open(path: unknown, flags: number, mode?: number): unknown;
  isDir(mode: number): boolean;
  getStream(descriptor: number): { nfd?: number } | null;
};

type NodeFiles = {
  createNode(parent: unknown, name: string, mode: number, device: number): { mode: number };
  realPath(node: unknown): string;
  tryFSOperation(operation: () => void): void;
  node_ops: { mknod(parent: unknown, name: string, mode: number, device: number): unknown };
};

/**
 * Makes new files as the system would: with the mode that is asked for less the umask, from the first moment on, and never
 * in place of one that somebody else has made meanwhile. Emscripten's way is mode 0777, then the one asked for, without umask.
 */
export function makeFilesSafely(files: FileSystem): void {
  const { NODEFS } = files.filesystems;
  const open = files.open;
  let asked: number | undefined;
  files.open = (path, flags, mode = 0o666) => {
    asked = mode & 0o7777 & ~process.umask();
    try {
      return open(path, flags, (mode & ~0o7777) | asked);
    } finally {
      asked = undefined;
    }
  };
  NODEFS.node_ops.mknod = (parent, name, mode, device) => {
    const wanted = files.isDir(mode) || asked === undefined ? mode : (mode & ~0o7777) | asked;
    const node = NODEFS.createNode(parent, name, wanted, device);
    const path = NODEFS.realPath(node);
    NODEFS.tryFSOperation(() => {
      if (files.isDir(mode)) mkdirSync(path, wanted & 0o7777);
      else writeFileSync(path, "", { mode: wanted & 0o7777, flag: "wx" });
    });
    return node;
  };
}

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
