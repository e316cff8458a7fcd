import { lstat, readlink } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Who is believed to change a file only as it should be. */
export type Believed = { uids: readonly number[]; groups: readonly number[] };

/** What others could change: `uid` owns it, or it can be written to by a group, or everybody. */
export type Changeable = { path: string; uid: number; by: "its owner" | "its group" | "everybody" };

const mostLinks = 40;

/**
 * The first file, directory or link on the way to a file that others than these can change; undefined where there is none.
 * Follows links as the kernel does, and looks at each directory that it comes through.
 * @throws Error (ENOENT, ELOOP) where it leads nowhere
 */
export async function whoElseCanChange(path: string, believed: Believed): Promise<Changeable | undefined> {
  let at = "/";
  let links = 0;
  const faultOf = async (one: string) => faultIn(one, await lstat(one), believed);
  const fault = await faultOf(at);
  if (fault !== undefined) return fault;
  for (let rest = wordsOf(path); rest.length > 0; ) {
    const [name = "", ...more] = rest;
    rest = more;
    if (name === "..") {
      at = dirname(at);
      continue;
    }
    const next = join(at, name);
    const found = await faultOf(next);
    if (found !== undefined) return found;
    if ((await lstat(next)).isSymbolicLink()) {
      links += 1;
      if (links > mostLinks) throw new Error(`${path} leads from link to link`);
      const target = await readlink(next);
      if (target.startsWith("/")) at = "/";
      rest = [...wordsOf(target), ...rest];
    } else at = next;
  }
  return undefined;
}

type Facts = { uid: number; gid: number; mode: number; isSymbolicLink(): boolean; isDirectory(): boolean };

export function faultIn(path: string, facts: Facts, { uids, groups }: Believed): Changeable | undefined {
  const { uid, gid, mode } = facts;
  if (!uids.includes(uid)) return { path, uid, by: "its owner" };
  // Of a link the mode means nothing; and where a directory is sticky, only who owns a file in it can put another in its place.
  if (facts.isSymbolicLink() || (facts.isDirectory() && (mode & 0o1000) !== 0)) return undefined;
  if ((mode & 0o002) !== 0) return { path, uid, by: "everybody" };
  return (mode & 0o020) !== 0 && !groups.includes(gid) ? { path, uid, by: "its group" } : undefined;
}

function wordsOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}
