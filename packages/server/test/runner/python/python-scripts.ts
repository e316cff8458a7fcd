import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { createPythonLoader, type PythonLoaderOptions } from "../../../src/runner/python/loader.ts";
import type { LoadScript, ScriptCall, ScriptFault, ScriptHost, ScriptReturn } from "../../../src/runner/runner.ts";

export const python = "/usr/bin/python3";
export const isRoot = process.getuid?.() === 0;
/** Whom scripts run as when the tests are root, as they do in a daemon. */
export const account = isRoot ? { uid: 65534, gid: 65534 } : undefined;

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

export function fixture(name: string): Promise<string> {
  return readFile(join(import.meta.dirname, "fixtures", `${name}.py`), "utf8");
}

type Given = { [Part in "authcred" | "attributes" | "authret" | "info"]?: Record<string, unknown> };

/** A call as the server makes it, with what a test wants to be different. `act` says what a fixture is to do. */
export function callOf(given: Given & { act?: string } & Partial<Omit<ScriptCall, "arguments">> = {}): ScriptCall {
  const { authcred, attributes, authret, info, act, ...call } = given;
  return {
    arguments: {
      authcred: { username: "alice", client_ip_addr: "192.0.2.7", ...authcred },
      attributes: { vpn_auth: true, reauth: false, client_info: { ...(act && { UV_ACT: act }) }, ...attributes },
      authret: { status: 0, user: "alice", reason: "local auth succeeded", proplist: {}, ...authret },
      info: { auth_method: "local", ...info },
    },
    deadlineMs: 20_000,
    ...call,
  };
}

/** Fails where the script did not return. */
export function returned(result: ScriptReturn): Extract<ScriptReturn, { outcome: "returned" }> {
  if (result.outcome !== "returned") throw new Error(`the script did not return: ${JSON.stringify(result)}`);
  return result;
}

export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    if (await condition()) return;
    await wait(20);
  }
  throw new Error(`this never came true: ${what}`);
}

/** Whether a process lives; one that is dead and only not yet waited for does not. */
export async function lives(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return stat !== undefined && !/^\d+ \(.*\) [ZX]/.test(stat);
}
