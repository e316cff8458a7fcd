/** Stands in for the package koffi in the executable: its library is an asset, and the system loads libraries from files. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { getAsset } from "node:sea";

/** Loads it from a file that is gone afterwards, in the first directory from which libraries may be loaded. */
function loadLibrary(bases: readonly string[]): Record<string, unknown> {
  const bytes = Buffer.from(getAsset("koffi.node"));
  let failure: unknown;
  for (const base of bases) {
    let directory: string | undefined;
    try {
      directory = mkdtempSync(join(base, "sallyport-agent-"));
      const path = join(directory, "koffi.node");
      writeFileSync(path, bytes, { flag: "wx", mode: 0o500 });
      const loaded: { exports: Record<string, unknown> } = { exports: {} };
      process.dlopen(loaded, path);
      return loaded.exports;
    } catch (error) {
      failure = error;
    } finally {
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    }
  }
  throw failure;
}

export default loadLibrary([tmpdir(), "/var/tmp", dirname(process.execPath)]);
