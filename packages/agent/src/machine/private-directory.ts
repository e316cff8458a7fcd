import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { lstat, mkdir, open, realpath, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AgentFailure } from "../failure.ts";
import { faultOfDirectory, faultOfOpenFile, makeOwnDirectory } from "../windows/private-files.ts";
import { ownPlatform } from "./system.ts";

const mendAgents = "Mend it, or name another directory in SALLYPORT_AGENT_DIRECTORY.";
/** The service's directories are where they are. */
export const mendServices = "Mend its owner and rights.";

/**
 * Makes a directory that only this account can enter, and its parents. Guaranteed when it resolves: it is no link, it
 * belongs to this account (or root, on the way there), and nobody else can write into it or replace it.
 * @throws AgentFailure with what is to be done `next` where it is not so
 */
export async function makePrivateDirectory(path: string, next = mendAgents): Promise<void> {
  if (ownPlatform() === "win") return await makeOnWindows(path, "reach");
  await mkdir(path, { recursive: true, mode: 0o700 });
  const own = process.getuid?.();
  if (own === undefined) return;
  const self = await lstat(path);
  if (!self.isDirectory() || self.uid !== own || (self.mode & 0o077) !== 0)
    throw unsafe(path, "it must be a directory of this account alone (chmod 700), and no link", next);
  // A link on the way is as good as the directory it stands in, and as what it leads through: macOS' /etc and /var are such.
  for (const way of new Set([path, await realpath(path)])) await checkWay(path, { from: dirname(way), own, next });
}

/** @throws AgentFailure where others could change one of a path's directories */
async function checkWay(path: string, way: { from: string; own: number; next: string }): Promise<void> {
  const { from, own, next } = way;
  for (let above = from; ; above = dirname(above)) {
    const facts = await lstat(above);
    // Many a Linux gives each user a group of their own that may write to what is theirs; root has none, and on macOS all
    // users are in one.
    const others = own === 0 || ownPlatform() === "mac" ? 0o022 : 0o002;
    const shared = (facts.mode & others) !== 0 && (facts.mode & 0o1000) === 0 && !facts.isSymbolicLink();
    if ((facts.uid !== own && facts.uid !== 0) || shared)
      throw unsafe(path, `others than this account can write to ${above}`, next);
    if (above === dirname(above)) return;
  }
}

/** A directory that everybody may read, and only this account write to. */
export async function makeRootDirectory(path: string): Promise<void> {
  // Nobody else needs to read there.
  if (ownPlatform() === "win") return await makeOnWindows(path, "change");
  await mkdir(path, { recursive: true, mode: 0o755 });
  const facts = await lstat(path);
  if (!facts.isDirectory() || facts.uid !== process.getuid?.() || (facts.mode & 0o022) !== 0)
    throw unsafe(path, "others than this account can write to it", mendServices);
}

async function makeOnWindows(path: string, forbidden: "reach" | "change"): Promise<void> {
  await makeOwnDirectory(path);
  const fault = await faultOfDirectory(path, forbidden);
  if (fault === undefined) return;
  const next = "Look at what it holds, and delete it: it is made anew, with the rights that it needs.";
  throw new AgentFailure("failed", `${path} is not safe to use: ${fault}.`, next);
}

function unsafe(path: string, why: string, next: string): AgentFailure {
  return new AgentFailure("failed", `${path} is not safe to use: ${why}.`, next);
}

/** Creates a file that was not there, through no link; `mode` counts whatever the umask. */
export async function writeNewFile(path: string, content: string | Buffer, mode: number): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  await using file = await open(path, flags, 0o600);
  await file.writeFile(content);
  await file.chmod(mode);
}

/** Puts a whole file in the place of another, so that nobody ever reads half of it. */
export async function replaceFile(path: string, content: string, mode = 0o600): Promise<void> {
  const beside = join(dirname(path), `.${randomBytes(6).toString("hex")}`);
  try {
    await writeNewFile(beside, content, mode);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/**
 * What a file says that only its owner may have written; undefined where there is none.
 * @throws AgentFailure where it is somebody else's, a link, longer than that, or others can write to it.
 */
export async function readOwnFile(
  path: string,
  terms: { uid: number; mostBytes: number },
): Promise<string | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const facts = await file.stat();
    const fault =
      ownPlatform() === "win"
        ? await faultOfOpenFile(path, file.fd)
        : facts.uid === terms.uid && (facts.mode & 0o022) === 0
          ? undefined
          : "its owner or mode is wrong";
    if (!facts.isFile() || fault !== undefined)
      throw new AgentFailure(
        "failed",
        `${path} may have been written by somebody else${fault === undefined ? "" : `: ${fault}`}.`,
        "Look at it, then delete it or mend its owner and rights.",
      );
    if (facts.size > terms.mostBytes) throw new AgentFailure("failed", `${path} is too long to be what it should be.`);
    return await file.readFile("utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if ((error as NodeJS.ErrnoException).code === "ELOOP")
      throw new AgentFailure("failed", `${path} is a link.`, "Replace it with the file itself.");
    throw error;
  }
}
