import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadOutcome, LoadScript, ScriptFault, ScriptHost } from "../../../src/runner/runner.ts";
import { createTypeScriptLoader, type TypeScriptLoaderOptions } from "../../../src/runner/typescript/loader.ts";
import { account } from "../script-calls.ts";

export type TypeScriptScripts = {
  load: LoadScript;
  /** Loads a script of fixtures/, or a text, and fails where it cannot be loaded. */
  host(script: { fixture: string } | { text: string; settings?: Record<string, unknown> }): Promise<ScriptHost>;
  fault(text: string, settings?: Record<string, unknown>): Promise<ScriptFault>;
  /** Where the scripts run. */
  workingDirectory: string;
  /** What the workers logged, one JSON object a line. */
  logged(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/** A loader with a directory of its own; disposing of it closes what it loaded. */
export async function typeScriptScripts(options: Partial<TypeScriptLoaderOptions> = {}): Promise<TypeScriptScripts> {
  const directory = await mkdtemp(join(tmpdir(), "typescript-"));
  const workingDirectory = join(directory, "work");
  const lines: string[] = [];
  const write = (fields: object, message: string) => void lines.push(JSON.stringify({ message, ...fields }));
  const log = { debug: write, info: write, warn: write, error: write };
  const load = createTypeScriptLoader({ account, workingDirectory, workersPerScript: 1, log, ...options });
  const hosts: ScriptHost[] = [];
  const loadAndKeep: LoadScript = async (script) => {
    const outcome = await load(script);
    if ("host" in outcome) hosts.push(outcome.host);
    return outcome;
  };
  return {
    load: loadAndKeep,
    workingDirectory,
    host: async (script) => {
      const text = "text" in script ? script.text : await fixture(script.fixture);
      const name = "text" in script ? "script" : script.fixture;
      const settings = "text" in script ? script.settings : undefined;
      return hostOf(await loadAndKeep({ name, text, ...(settings && { settings }) }));
    },
    async fault(text, settings) {
      const outcome = await loadAndKeep({ name: "script", text, ...(settings && { settings }) });
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

function hostOf(outcome: LoadOutcome): ScriptHost {
  if ("fault" in outcome) throw new Error(`line ${outcome.fault.line}: ${outcome.fault.message}`);
  return outcome.host;
}

export function fixture(name: string): Promise<string> {
  return readFile(join(import.meta.dirname, "fixtures", `${name}.ts`), "utf8");
}

/** A script whose function has this body; `request` and `ctx` are its parameters. */
export function scriptOf(body: string, options?: string): string {
  const parameters = options === undefined ? "" : `${options}, `;
  const imports = 'import { allow, definePostAuth, deny, ldapFilter } from "@sallyport/sdk";';
  return `${imports}\nexport default definePostAuth(${parameters}async (request, ctx) => {\n${body}\n});\n`;
}
