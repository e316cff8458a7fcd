import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { build, type Plugin } from "esbuild";
import { layerFiles } from "../../src/python/assets.ts";

const agent = resolve(import.meta.dirname, "../..");
const require = createRequire(join(agent, "package.json"));

/** What Node 20 lacks of what the agent uses, Wine's Windows running no newer one. */
const banner = `
Promise.withResolvers ??= () => {
  const all = {};
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
  return all;
};
`;

const lacking: Record<string, string> = {
  // The snapshot beside the bundle is not compressed.
  "node:zlib": 'export * from "node:zlib"; export const zstdDecompressSync = (bytes) => bytes;',
  "node:tls": `export * from "node:tls"; import { rootCertificates } from "node:tls";
    export const getCACertificates = (kind) => (kind === "default" ? rootCertificates : []);`,
};

const standIns: Plugin = {
  name: "stand-ins",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:(zlib|tls)$/ }, ({ path, namespace }) =>
      namespace === "stand-in" ? { path, external: true } : { path, namespace: "stand-in" },
    );
    onLoad({ filter: /./, namespace: "stand-in" }, ({ path }) => ({ contents: lacking[path] ?? "" }));
  },
};

/** Wine says of every file that it is this account's, whoever was made its owner. */
const wineFileOwner = "S-1-5-21-0-0-0-1000";

const believingWine: Plugin = {
  name: "believing-wine",
  setup({ onLoad }) {
    onLoad({ filter: /\/windows\/privileged-accounts\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      return { loader: "ts", contents: text.replace("[wellKnown", `["${wineFileOwner}", wellKnown`) };
    });
  },
};

/** Puts programs, with all modules of ours that they import, into a directory, as `NAME.js` each. */
export async function bundlePrograms(programs: Readonly<Record<string, string>>, to: string): Promise<void> {
  await build({
    entryPoints: Object.entries(programs).map(([out, path]) => ({ in: path, out })),
    outdir: to,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    external: ["koffi", "pyodide"],
    plugins: [standIns, believingWine],
    banner: { js: banner },
    logLevel: "warning",
  });
}

/** The agent as npm's package has it, in a directory, for Windows: `installed.js` is its program. */
export async function layAgent(to: string, koffiLibrary: string): Promise<void> {
  const source = (path: string) => join(agent, "src", path);
  const modules = join(to, "node_modules");
  await mkdir(join(to, "layer"), { recursive: true });
  await mkdir(join(modules, "@koromix"), { recursive: true });
  await writeFile(join(to, "package.json"), '{ "type": "module" }');
  for (const name of layerFiles) await cp(source(`python/layer/${name}`), join(to, "layer", name));
  // Copied: it looks for its library beside itself.
  await cp(dirname(require.resolve("koffi")), join(modules, "koffi"), { recursive: true });
  await symlink(koffiLibrary, join(modules, "@koromix", basename(koffiLibrary).replace(/^koromix-|-[\d.]+$/g, "")));
  await symlink(dirname(require.resolve("pyodide/package.json")), join(modules, "pyodide"));
  const programs = { installed: "installed.ts", python: "python/main.ts", "host-worker": "python/host-worker.ts" };
  await bundlePrograms(Object.fromEntries(Object.entries(programs).map(([name, path]) => [name, source(path)])), to);
}
