/**
 * Packages of npm that are for other platforms than this one, and so are not installed here: Node's binaries and koffi's
 * library. Each is fetched once into .build/packages, and believed only with the checksum that package-lock.json has.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const root = resolve(import.meta.dirname, "..");
const directory = join(root, ".build/packages");
const deadlineMs = 300_000;

/**
 * The directory of an unpacked package that package-lock.json has. May be called by several processes at once.
 * @throws Error where that does not have it, it cannot be fetched, or its checksum is another one
 */
export async function platformPackage(name: string): Promise<string> {
  const { specifier, integrity } = await locked(name);
  const unpacked = join(directory, specifier.replace("/", "+"));
  if (await isThere(join(unpacked, "package.json"))) return unpacked;
  await mkdir(directory, { recursive: true });
  const beside = await mkdtemp(join(directory, ".fetch-"));
  try {
    const pack = [
      "pack",
      specifier,
      "--pack-destination",
      beside,
      "--json",
      "--loglevel=error",
      "--no-update-notifier",
    ];
    // Not in the repository: there npm would take a workspace's name for that workspace.
    const { stdout } = await promisify(execFile)("npm", pack, { cwd: beside, timeout: deadlineMs });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    const archive = join(beside, filename.replace("@", "").replace("/", "-"));
    const found = `sha512-${createHash("sha512")
      .update(await readFile(archive))
      .digest("base64")}`;
    if (found !== integrity)
      throw new Error(`${specifier}: what npm fetched has the checksum ${found}; expected ${integrity}`);
    await promisify(execFile)("tar", ["xzf", archive, "-C", beside]);
    await rename(join(beside, "package"), unpacked).catch(async (error) => {
      // Another process was first.
      if (!(await isThere(join(unpacked, "package.json")))) throw error;
    });
  } finally {
    await rm(beside, { recursive: true });
  }
  return unpacked;
}

async function locked(name: string): Promise<{ specifier: string; integrity: string }> {
  const { packages } = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  const entry = packages[`node_modules/${name}`];
  if (!entry?.integrity?.startsWith("sha512-")) throw new Error(`package-lock.json does not have ${name}`);
  return { specifier: `${name}@${entry.version}`, integrity: entry.integrity };
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
