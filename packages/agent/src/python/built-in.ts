import { readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { hostname, release, type, version } from "node:os";
import { dirname, join } from "node:path";
import { MessageChannel, Worker } from "node:worker_threads";
import { hostWorkerCode, layerFiles, layerText, pyodideDirectory, pythonSnapshot } from "./assets.ts";
import { synchronousCalls } from "./host-calls.ts";
import { type FileSystem, layRealFiles, makeFilesSafely, unixRoots, windowsRoots } from "./real-files.ts";

/** What is used of pyodide. */
type Python = {
  FS: FileSystem & { chdir(path: string): void };
  setStdin(options: { read(buffer: Uint8Array): number; isatty: boolean }): void;
  setStdout(options: { write(buffer: Uint8Array): number; isatty: boolean }): void;
  setStderr(options: { write(buffer: Uint8Array): number; isatty: boolean }): void;
  runPython(text: string, options: { globals: unknown; filename: string }): unknown;
  globals: { get(name: string): () => unknown };
};

/**
 * Runs a script in Python of our own, in this process, which is there for it alone: its standard streams, environment and
 * account are the script's. Ends the process with the script's exit status; 70 where Python itself could not start.
 */
export async function runBuiltInPython(script: string): Promise<never> {
  try {
    const host = startHost();
    const python = await loadPython(dirname(script));
    const roots = process.platform === "win32" ? windowsRoots() : unixRoots(python.FS);
    layRealFiles(python.FS, roots);
    makeFilesSafely(python.FS);
    process.exit(runScript({ python, call: host, script, roots }));
  } catch (error) {
    // Only the message: pyodide's own lines are a megabyte long.
    const message = error instanceof Error ? error.message : String(error);
    writeAll(2, Buffer.from(`the built-in Python could not run the script: ${message.slice(-4000)}\n`));
    process.exit(70);
  }
}

function startHost() {
  const { port1, port2 } = new MessageChannel();
  const signal = new Int32Array(new SharedArrayBuffer(4));
  const code = hostWorkerCode();
  const options = { workerData: { port: port2, signal }, transferList: [port2] };
  const worker = "file" in code ? new Worker(code.file, options) : new Worker(code.text, { ...options, eval: true });
  worker.on("error", (error) => {
    throw error;
  });
  return synchronousCalls(port1, signal);
}

async function loadPython(own: string): Promise<Python> {
  const directory = pyodideDirectory(own);
  const path = join(directory, "pyodide.js");
  const { loadPyodide } = createRequire(path)(path);
  const snapshot = pythonSnapshot();
  const from = snapshot === undefined ? {} : { _loadSnapshot: snapshot };
  const python: Python = await loadPyodide({ indexURL: directory, env: { HOME: "/" }, ...from });
  python.setStdin({ read: readStandardInput, isatty: false });
  python.setStdout({ write: (bytes) => writeAll(1, bytes), isatty: false });
  python.setStderr({ write: (bytes) => writeAll(2, bytes), isatty: false });
  return python;
}

type Start = {
  python: Python;
  call: ReturnType<typeof synchronousCalls>;
  script: string;
  roots: readonly { from: string; to: string }[];
};

function runScript({ python, call, script, roots }: Start): number {
  const namespace = python.runPython("import types as _types; _types.ModuleType('sallyport_layer').__dict__", {
    globals: python.globals,
    filename: "start",
  });
  const host = {
    // JSON, because Python has no null but None; bytes go beside it.
    call: (name: string, given: string, bytes?: { toJs(): Uint8Array; destroy(): void }) => {
      const copied = bytes?.toJs().slice();
      bytes?.destroy();
      const { data, ...answer } = call({ name, arguments: JSON.parse(given), bytes: copied }) as { data?: Uint8Array };
      return [JSON.stringify(answer), data];
    },
    descriptor: (descriptor: number) => python.FS.getStream(descriptor)?.nfd ?? -1,
    facts: () => JSON.stringify(facts(roots)),
    sleep: (seconds: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000),
  };
  (namespace as { set(name: string, value: unknown): void }).set("_machine", host);
  (namespace as { set(name: string, value: unknown): void }).set("_script", script);
  (namespace as { set(name: string, value: unknown): void }).set("_directory", process.cwd());
  for (const name of layerFiles) {
    python.runPython(layerText(name), { globals: namespace, filename: name });
  }
  return Number(python.runPython(startText, { globals: namespace, filename: "start" }));
}

const startText = `
import random
random.seed()  # a snapshot is the same every time
install_host(_machine)
try:
    os.chdir(_directory)
except OSError:
    pass  # one that Python cannot see, a share of Windows for example
_status_of_script = run_script(_script)
import atexit
atexit._run_exitfuncs()
for _stream in (sys.stdout, sys.stderr):
    try:
        _stream.flush()
    except Exception:
        pass
_status_of_script
`;

function facts(roots: Start["roots"]) {
  return {
    /** Windows: letter → where the drive is for Python. */
    drives: Object.fromEntries(roots.map(({ from, to }) => [from.slice(0, 1).toLowerCase(), to])),
    platform: process.platform,
    environment: process.env,
    pid: process.pid,
    hostName: hostname(),
    system: process.platform === "win32" ? "Windows" : type(),
    release: release(),
    version: version(),
    machine: { x64: "x86_64", arm64: "aarch64" }[process.arch as string] ?? process.arch,
    ids: process.getuid === undefined ? null : [process.getuid(), process.getgid?.() ?? 0],
  };
}

/** Waits where the other side is slow: the descriptor may be set not to block by whoever else has it. */
function patiently<T>(transfer: () => T): T {
  for (;;) {
    try {
      return transfer();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function readStandardInput(buffer: Uint8Array): number {
  return patiently(() => {
    try {
      return readSync(0, buffer);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EOF") return 0;
      throw error;
    }
  });
}

function writeAll(descriptor: number, bytes: Uint8Array): number {
  for (let written = 0; written < bytes.length; ) {
    written += patiently(() => writeSync(descriptor, bytes, written));
  }
  return bytes.length;
}
