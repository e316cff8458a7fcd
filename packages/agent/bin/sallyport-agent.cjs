#!/usr/bin/env node
// Starts the agent under a Node that can run it: this one, or the one that npm installed beside it. Any Node can read this file.
"use strict";
const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const { constants } = require("node:os");
const { dirname, join } = require("node:path");
const { pathToFileURL } = require("node:url");

const neededMajor = 24;
const onWindows = process.platform === "win32";
const source = join(__dirname, "../src/main.ts");
// In a checkout what is packed may be older than the source.
const program = existsSync(source) ? source : join(__dirname, "../dist/installed.js");

if (Number(process.versions.node.split(".")[0]) >= neededMajor) {
  import(pathToFileURL(program).href);
} else {
  const node = installedNode();
  if (node === undefined) {
    process.stderr.write(
      `sallyport-agent needs Node ${neededMajor}, and this is ${process.versions.node}.\n` +
        "Install that. For Linux, and for Windows on x64, npm installs one with the agent: npm install --include=optional\n",
    );
    process.exitCode = 7;
  } else run(node);
}

/** Of npm's package of this platform's Node; undefined where there is none for this machine, or npm was told to leave such out. */
function installedNode() {
  const platform = onWindows ? "win" : process.platform;
  try {
    const directory = dirname(require.resolve(`node-${platform}-${process.arch}/package.json`));
    const path = join(directory, onWindows ? "bin/node.exe" : "bin/node");
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} node */
function run(node) {
  const child = spawn(node, [program, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends Ctrl-C to both, and that of Windows that it is closed; what is sent to this process alone is passed on.
  process.on("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => onWindows || child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(`sallyport-agent: ${node} cannot be started: ${error.message}\n`);
    process.exitCode = 7;
  });
  child.on("exit", (status, signal) => {
    process.exitCode = status === null ? 128 + (constants.signals[signal] || 0) : status;
  });
}
