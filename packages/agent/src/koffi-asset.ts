/** Stands in for the package koffi in the executable: its library is an asset, and the system loads libraries from files. */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";
import { getAsset } from "node:sea";

const bytes = Buffer.from(getAsset("koffi.node"));

/** In the first of the places from which libraries may be loaded. */
function loadFrom(places: readonly string[], load: (place: string) => Record<string, unknown>) {
  let failure: unknown;
  for (const place of places) {
    try {
      return load(place);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function loaded(path: string): Record<string, unknown> {
  const module: { exports: Record<string, unknown> } = { exports: {} };
  process.dlopen(module, path);
  return module.exports;
}

/** From a file that is gone afterwards. */
function loadOnce(base: string): Record<string, unknown> {
  const directory = mkdtempSync(join(base, "sallyport-agent-"));
  try {
    const path = join(directory, "koffi.node");
    writeFileSync(path, bytes, { flag: "wx", mode: 0o500 });
    return loaded(path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * From a file that stays, because Windows removes none that is loaded. Its name is its content's, so that an agent of
 * another version beside it has one of its own.
 */
function loadKept(directory: string): Record<string, unknown> {
  const name = `sallyport-agent-${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}.node`;
  const path = join(directory, name);
  if (!isWhole(path)) {
    mkdirSync(directory, { recursive: true });
    const beside = join(directory, `${name}.${randomBytes(6).toString("hex")}`);
    try {
      writeFileSync(beside, bytes, { flag: "wx" });
      renameSync(beside, path);
    } catch (error) {
      rmSync(beside, { force: true });
      // Two agents that start at once both write it; the second cannot replace what the first has loaded.
      if (!isWhole(path)) throw error;
    }
  }
  const library = loaded(path);
  sweep(directory, name);
  return library;
}

/** What agents of other versions kept there, and no longer use. */
function sweep(directory: string, own: string): void {
  for (const name of readdirSync(directory)) {
    if (name === own || !/^sallyport-agent-[0-9a-f]{16}\.node/.test(name)) continue;
    try {
      rmSync(join(directory, name));
    } catch {
      // It is loaded.
    }
  }
}

function isWhole(path: string): boolean {
  try {
    return readFileSync(path).equals(bytes);
  } catch {
    return false;
  }
}

// What TMPDIR names may be somebody else's directory, and root's libraries are read from none of those.
const temporary = process.getuid?.() === 0 ? "/tmp" : tmpdir();

/**
 * On Windows beside the executable, if it may be written there: whoever else may, may replace the executable. Otherwise in
 * the account's own directory, as its token has it. Never where %TEMP% says: of the service that is a directory of everybody.
 */
export default process.platform === "win32"
  ? loadFrom([dirname(process.execPath), join(userInfo().homedir, "AppData", "Local", "sallyport-agent")], loadKept)
  : loadFrom([temporary, "/var/tmp", dirname(process.execPath)], loadOnce);
