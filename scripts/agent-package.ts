/**
 * Fills packages/agent/dist with what the agent's npm package has beside its launcher: one file of JavaScript for each
 * program (npm's Node takes no types out of installed files), the built-in Python's layer and memory, and the pages for
 * its users. `npm pack -w packages/agent` calls it.
 */
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { build } from "esbuild";
import { checkoutSnapshot, installedSnapshotName, layerFiles } from "../packages/agent/src/python/assets.ts";
import { keepSnapshot } from "../packages/agent/src/python/snapshot.ts";

const root = resolve(import.meta.dirname, "..");
const agent = join(root, "packages/agent");
const out = join(agent, "dist");
await rm(out, { recursive: true, force: true });
await mkdir(join(out, "layer"), { recursive: true });
await mkdir(join(out, "docs"));

const { dependencies } = JSON.parse(await readFile(join(agent, "package.json"), "utf8"));
// Side by side in one directory, because each looks for the others beside itself.
const programs = { installed: "installed.ts", python: "python/main.ts", "host-worker": "python/host-worker.ts" };
await build({
  entryPoints: Object.entries(programs).map(([name, path]) => ({ in: join(agent, "src", path), out: name })),
  outdir: out,
  bundle: true,
  platform: "node",
  target: "node24",
  format: "esm",
  external: Object.keys(dependencies),
  legalComments: "none",
  logLevel: "warning",
});
for (const name of layerFiles) await cp(join(agent, "src/python/layer", name), join(out, "layer", name));
for (const name of ["agent.md", "agent-service.md", "client-script-languages.md"])
  await cp(join(root, "docs", name), join(out, "docs", name));
await keepSnapshot();
await writeFile(join(out, installedSnapshotName), zstdCompressSync(await readFile(checkoutSnapshot())));
