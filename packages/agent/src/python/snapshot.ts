import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { checkoutSnapshot, importsText, pyodideDirectory } from "./assets.ts";

/** Python's memory after it has started and read what nearly every script imports: from there it starts ten times as fast. */
export async function makeSnapshot(): Promise<Uint8Array> {
  const directory = pyodideDirectory("");
  const path = join(directory, "pyodide.js");
  const { loadPyodide } = createRequire(path)(path);
  const python = await loadPyodide({ indexURL: directory, _makeSnapshot: true });
  python.runPython(importsText);
  return python.makeMemorySnapshot();
}

/** Keeps a snapshot with the checkout, where there is none of this version yet; other versions' go. */
export async function keepSnapshot(): Promise<void> {
  const path = checkoutSnapshot();
  if (existsSync(path)) return;
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(directory)) if (/^python-[\d.]+\.snapshot$/.test(name)) rmSync(join(directory, name));
  // It appears whole: somebody may be starting a script meanwhile.
  const unnamed = `${path}.${process.pid}`;
  writeFileSync(unnamed, await makeSnapshot());
  renameSync(unnamed, path);
}
