/**
 * Builds the agent's single-file executable: one bundle of its modules with Python and the library that asks the kernel,
 * inside of Node (a "single executable application"). `--target PLATFORM-ARCH` for another platform, whose Node comes from
 * npm or is named by `--node BINARY`.
 */
import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { parseArgs, promisify } from "node:util";
import { zstdCompressSync } from "node:zlib";
import { build, type Plugin } from "esbuild";
import {
  checkoutSnapshot,
  installedSnapshotName,
  layerFiles,
  pyodideFiles,
} from "../packages/agent/src/python/assets.ts";
import { keepSnapshot } from "../packages/agent/src/python/snapshot.ts";
import { platformPackage } from "./platform-packages.ts";
import { withoutSignature } from "./windows-signature.ts";

const root = resolve(import.meta.dirname, "..");
const agent = join(root, "packages/agent/src");
const require = createRequire(join(root, "packages/agent/package.json"));
const here = `${process.platform}-${process.arch}`;
const { values } = parseArgs({
  options: {
    target: { type: "string", default: here },
    node: { type: "string" },
    out: { type: "string", default: join(root, ".build") },
  },
});
const { target, out } = values;
if (!/^(linux|win32|darwin)-(x64|arm64)$/.test(target)) {
  throw new Error(
    `--target ${target}: expected linux-x64, linux-arm64, win32-x64, win32-arm64, darwin-x64 or darwin-arm64`,
  );
}
const [platform, arch] = target.split("-") as ["linux" | "win32" | "darwin", "x64" | "arm64"];
const nodeBinary = values.node ?? (target === here ? process.execPath : await fetchedNode());
const koffiLibrary = join(await koffiPackage(), `${platform}_${arch}`, "koffi.node");
const parts = join(out, `sallyport-agent.${target}.parts`);
await rm(parts, { recursive: true, force: true });
await mkdir(parts, { recursive: true });

/** Koffi looks for its library beside itself, which in one file is nowhere. */
const koffi: Plugin = {
  name: "koffi",
  setup: ({ onResolve }) => onResolve({ filter: /^koffi$/ }, () => ({ path: join(agent, "koffi-asset.ts") })),
};

/** What a module of the bundle learns of its own place: that of the executable. */
const place = `const __file = require("node:url").pathToFileURL(process.execPath).href;
const __directory = require("node:path").dirname(process.execPath);`;

async function bundle(entry: string, to: string): Promise<void> {
  await build({
    entryPoints: [join(agent, entry)],
    outfile: join(parts, to),
    bundle: true,
    platform: "node",
    target: "node24",
    format: "cjs",
    plugins: [koffi],
    define: { "import.meta.url": "__file", "import.meta.dirname": "__directory", "import.meta.filename": "__filename" },
    banner: { js: place },
    legalComments: "none",
    logLevel: "warning",
  });
}

async function assets(): Promise<Record<string, string>> {
  const pyodide = dirname(require.resolve("pyodide"));
  const snapshot = join(parts, installedSnapshotName);
  await keepSnapshot();
  await writeFile(snapshot, zstdCompressSync(await readFile(checkoutSnapshot())));
  return {
    "host-worker.js": join(parts, "host-worker.js"),
    [installedSnapshotName]: snapshot,
    ...Object.fromEntries(layerFiles.map((name) => [`layer/${name}`, join(agent, "python/layer", name)])),
    ...Object.fromEntries(pyodideFiles.map((name) => [`pyodide/${name}`, join(pyodide, name)])),
    "koffi.node": koffiLibrary,
  };
}

async function fetchedNode(): Promise<string> {
  const directory = await platformPackage(`node-${platform === "win32" ? "win" : platform}-${arch}`).catch((error) => {
    throw new Error(
      `--target ${target} needs that platform's Node ${process.version}, which does not come from npm (${error.message}). Take it from nodejs.org, and name its binary with --node`,
    );
  });
  const { version } = JSON.parse(await readFile(join(directory, "package.json"), "utf8"));
  if (version !== process.versions.node)
    throw new Error(`package-lock.json has Node ${version} for ${target}, and this is ${process.version}`);
  return join(directory, platform === "win32" ? "bin/node.exe" : "bin/node");
}

/** npm installs the library of its own platform alone. */
async function koffiPackage(): Promise<string> {
  const name = `@koromix/koffi-${target}`;
  return target === here ? dirname(require.resolve(`${name}/package.json`)) : await platformPackage(name);
}

await bundle("executable.ts", "agent.cjs");
await bundle("python/host-worker.ts", "host-worker.js");
const config = {
  main: join(parts, "agent.cjs"),
  output: join(parts, "agent.blob"),
  disableExperimentalSEAWarning: true,
  // Nothing in a user's or a script's environment adds options to this Node.
  execArgvExtension: "none",
  assets: await assets(),
};
await writeFile(join(parts, "sea.json"), JSON.stringify(config, null, 2));
await promisify(execFile)(process.execPath, ["--experimental-sea-config", join(parts, "sea.json")]);
const executable = join(out, target === here ? "sallyport-agent" : `sallyport-agent-${target}`);
const named = platform === "win32" ? `${executable}.exe` : executable;
const unnamed = join(parts, "executable");
if (platform === "win32") await writeFile(unnamed, withoutSignature(await readFile(nodeBinary)));
else await copyFile(nodeBinary, unnamed);
await chmod(unnamed, 0o755);
// Another process: postject writes pages about sections that it leaves alone.
const fuse = ["--sentinel-fuse", "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2"];
const segment = platform === "darwin" ? ["--macho-segment-name", "NODE_SEA"] : [];
const postject = [
  require.resolve("postject/dist/cli.js"),
  unnamed,
  "NODE_SEA_BLOB",
  config.output,
  ...fuse,
  ...segment,
];
await promisify(execFile)(process.execPath, postject, { maxBuffer: 64 * 1024 * 1024 });
await rm(named, { force: true });
await copyFile(unnamed, named);
await rm(parts, { recursive: true });
process.stdout.write(`${named}\n`);
if (platform === "darwin") process.stdout.write("macOS runs it once it is signed: codesign --sign - on a Mac\n");
