import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { getAsset, isSea } from "node:sea";
import { zstdDecompressSync } from "node:zlib";

/** pyodide's files that a start needs. */
export const pyodideFiles = [
  "pyodide.js",
  "pyodide.asm.mjs",
  "pyodide.asm.wasm",
  "pyodide-lock.json",
  "python_stdlib.zip",
] as const;

/** In the order in which they are read: later ones use what earlier ones define. */
export const layerFiles = ["layer.py", "windows_paths.py", "host.py"] as const;

/** The text of one of the layer's files: inside the executable, or beside this module. */
export function layerText(name: (typeof layerFiles)[number]): string {
  return isSea() ? getAsset(`layer/${name}`, "utf8") : readFileSync(join(import.meta.dirname, "layer", name), "utf8");
}

/**
 * The directory with pyodide's files. In the executable they are assets, written to a directory in the one given, which
 * is the script's own: nobody else could have changed them, and they are gone with it.
 */
export function pyodideDirectory(own: string): string {
  if (!isSea()) return dirname(createRequire(import.meta.url).resolve("pyodide"));
  const directory = join(own, "pyodide");
  mkdirSync(directory, { mode: 0o700 });
  for (const name of pyodideFiles) {
    writeFileSync(join(directory, name), Buffer.from(getAsset(`pyodide/${name}`)), { flag: "wx", mode: 0o600 });
  }
  return directory;
}

/** What the layer and nearly every script import; all that is in a snapshot. */
export const importsText = `
import ast, atexit, base64, ctypes, datetime, errno, functools, getpass, glob, hashlib, http.client, importlib.abc, io, json
import ntpath, os, platform, random, re, shutil, signal, socket, ssl, string, subprocess, sys, tempfile, threading, time
import tokenize, traceback, types, urllib.error, urllib.parse, urllib.request, urllib.response, webbrowser, zipfile
`;

/** Where a checkout keeps the snapshot of its version. */
export function checkoutSnapshot(): string {
  const { version } = createRequire(import.meta.url)("pyodide/package.json");
  return join(import.meta.dirname, "../../../..", ".build", `python-${version}.snapshot`);
}

/** Where the agent's npm package and its executable keep the same, compressed. */
export const installedSnapshotName = "python.snapshot.zst";

/** In a checkout modules are what was written; npm's package has them in JavaScript, side by side. */
export function isCheckout(): boolean {
  return !isSea() && import.meta.filename.endsWith(".ts");
}

/** Memory to start Python from (see snapshot.ts); undefined in a checkout that has not made one. */
export function pythonSnapshot(): Uint8Array | undefined {
  if (isSea()) return zstdDecompressSync(Buffer.from(getAsset(installedSnapshotName)));
  try {
    if (isCheckout()) return readFileSync(checkoutSnapshot());
    return zstdDecompressSync(readFileSync(join(import.meta.dirname, installedSnapshotName)));
  } catch {
    return undefined;
  }
}

/** The worker beside Python: a file, or the text of one. */
export function hostWorkerCode(): { file: URL } | { text: string } {
  if (isSea()) return { text: getAsset("host-worker.js", "utf8") };
  return { file: new URL(isCheckout() ? "./host-worker.ts" : "./host-worker.js", import.meta.url) };
}
