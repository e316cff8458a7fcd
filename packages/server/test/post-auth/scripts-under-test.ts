import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PostAuthInput } from "../../src/core/post-auth.ts";
import { createPostAuth, type PostAuthGate } from "../../src/post-auth/gate.ts";
import type { Language, Loaders } from "../../src/post-auth/loaders.ts";
import { createPythonLoader } from "../../src/runner/python/loader.ts";
import { createTypeScriptLoader } from "../../src/runner/typescript/loader.ts";
import type { ScriptStore, SettingStore } from "../../src/store/store.ts";
import { activate, memoryScripts, memorySettings } from "./memory-scripts.ts";

export type Bench = {
  store: ReturnType<typeof memoryScripts>;
  settings: SettingStore;
  loaders: Loaders;
  gate: PostAuthGate;
  /** Makes a text the active version of a script, live. */
  live(name: string, text: string, language?: Language): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Real Python and Node behind a gate, with scripts kept in memory. */
export async function bench(options: { deadlineMs?: number } = {}): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), "post-auth-"));
  const account = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined;
  const workingDirectory = join(directory, "work");
  const shared = { account, workingDirectory, workersPerScript: 1, log: quiet };
  const python = createPythonLoader({ ...shared, python: "/usr/bin/python3" });
  const loaders = { python, typescript: createTypeScriptLoader(shared) };
  const store = memoryScripts();
  const settings = memorySettings();
  const deadlineMs = () => options.deadlineMs ?? 20_000;
  const gate = createPostAuth({ scripts: store, settings, loaders, deadlineMs, log: quiet });
  return {
    store,
    settings,
    loaders,
    gate,
    async live(name, text, language) {
      await activate(store, name, text, language);
      await gate.reload();
    },
    async [Symbol.asyncDispose]() {
      await gate.close();
      await rm(directory, { recursive: true });
    },
  };
}

export const fixture = (name: string) => readFile(join(import.meta.dirname, "fixtures", `${name}.py`), "utf8");

type Parts = Partial<{ [Part in keyof PostAuthInput]: Partial<PostAuthInput[Part]> }>;

export function inputOf(parts: Parts & { act?: string } = {}): PostAuthInput {
  const { authcred, attributes, authret, info, directory, act } = parts;
  return {
    authcred: { username: "alice", client_ip_addr: "192.0.2.7", ...authcred },
    attributes: {
      vpn_auth: true,
      reauth: false,
      client_info: { ...(act !== undefined && { UV_ACT: act }) },
      ...attributes,
    },
    authret: { status: 0, user: "alice", reason: "local auth succeeded", proplist: {}, ...authret },
    info: { auth_method: "local", ...info },
    ...(directory && { directory: directory as NonNullable<PostAuthInput["directory"]> }),
  };
}

/** A script whose post_auth has this body. */
export function scriptOf(body: string, globals = ""): string {
  return `${globals}\ndef post_auth(authcred, attributes, authret, info):\n${body.replaceAll(/^/gm, "    ")}\n    return authret\n`;
}

export type { ScriptStore };
