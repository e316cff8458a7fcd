import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPythonLoader, type PythonLoaderOptions } from "../../../src/runner/python/loader.ts";
import type { LoadScript, ScriptFault, ScriptHost } from "../../../src/runner/runner.ts";
import { account, callOf, isRoot, returned } from "../script-calls.ts";

export const python = "/usr/bin/python3";
export { account, callOf, isRoot, returned };

export type PythonScripts = {
  load: LoadScript;
  /** Loads a script of fixtures/, or a text, and fails where it cannot be loaded. */
  host(script: { fixture: string } | { text: string }): Promise<ScriptHost>;
  fault(text: string): Promise<ScriptFault>;
  /** What the workers logged, one JSON object a line. */
  logged(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/** A loader with a directory of its own; disposing of it closes what it loaded. */
export async function pythonScripts(options: Partial<PythonLoaderOptions> = {}): Promise<PythonScripts> {
  const directory = await mkdtemp(join(tmpdir(), "python-"));
  const lines: string[] = [];
  const write = (fields: object, message: string) => void lines.push(JSON.stringify({ message, ...fields }));
  const load = createPythonLoader({
    python,
    account,
    workingDirectory: join(directory, "work"),
    log: { debug: write, info: write, warn: write, error: write },
    ...options,
  });
  const hosts: ScriptHost[] = [];
  const loadAndKeep: LoadScript = async (script) => {
    const outcome = await load(script);
    if ("host" in outcome) hosts.push(outcome.host);
    return outcome;
  };
  return {
    load: loadAndKeep,
    async host(script) {
      const text = "text" in script ? script.text : await fixture(script.fixture);
      const name = "text" in script ? "script" : script.fixture;
      const outcome = await loadAndKeep({ name, text });
      if ("fault" in outcome) throw new Error(`line ${outcome.fault.line}: ${outcome.fault.message}`);
      return outcome.host;
    },
    async fault(text) {
      const outcome = await loadAndKeep({ name: "script", text });
      if ("host" in outcome) throw new Error("the script was loaded");
      return outcome.fault;
    },
    logged: () => lines.join("\n"),
    async [Symbol.asyncDispose]() {
      await Promise.all(hosts.map((host) => host.close()));
      await rm(directory, { recursive: true });
    },
  };
}

/** A script whose post_auth has this body. */
export function scriptOf(body: string): string {
  return `def post_auth(authcred, attributes, authret, info):\n${body.replaceAll(/^/gm, "    ")}\n`;
}

export function fixture(name: string): Promise<string> {
  return readFile(join(import.meta.dirname, "fixtures", `${name}.py`), "utf8");
}
