/** Stands in for the package koffi in the executable: its library is an asset, and the system loads libraries from files. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getAsset } from "node:sea";

const directory = mkdtempSync(join(tmpdir(), "sallyport-agent-"));
const loaded: { exports: Record<string, unknown> } = { exports: {} };
try {
  const path = join(directory, "koffi.node");
  writeFileSync(path, Buffer.from(getAsset("koffi.node")), { flag: "wx", mode: 0o500 });
  process.dlopen(loaded, path);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
export default loaded.exports;
