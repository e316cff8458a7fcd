import type { ScriptStore, ScriptVersion, SettingStore } from "../../src/store/store.ts";

type Entry = {
  versions: ScriptVersion[];
  active: number | null;
  activations: { version: number | null; at: string }[];
};

/** A ScriptStore for tests of what stands above it. */
export function memoryScripts(): ScriptStore & { breakDown(error: Error | undefined): void } {
  const scripts = new Map<string, Entry>();
  let broken: Error | undefined;
  const entry = (name: string) => scripts.get(name);
  const inOrder = () => {
    if (broken) throw broken;
    return [...scripts];
  };
  return {
    breakDown: (error) => {
      broken = error;
    },
    async addVersion(version) {
      const found = entry(version.script) ?? { versions: [], active: null, activations: [] };
      scripts.set(version.script, found);
      const stored = { ...version, version: found.versions.length + 1 };
      found.versions.push(stored);
      return stored;
    },
    version: async (name, number) => entry(name)?.versions.find(({ version }) => version === number),
    versions: async (name) => entry(name)?.versions ?? [],
    list: async () =>
      inOrder().map(([id, { active, versions }], position) => ({
        id,
        activeVersion: active,
        latestVersion: versions.length,
        position,
      })),
    async activate(name, number, at) {
      const found = entry(name);
      if (found === undefined || (number !== null && number > found.versions.length)) return false;
      found.active = number;
      found.activations.unshift({ version: number, at });
      return true;
    },
    active: async () =>
      inOrder().flatMap(([, { versions, active }]) => versions.filter(({ version }) => version === active)),
    activations: async (name) => entry(name)?.activations ?? [],
    async reorder(names) {
      const left = inOrder().filter(([name]) => !names.includes(name));
      const first = names.map((name) => [name, entry(name) as Entry] as const);
      scripts.clear();
      for (const [name, found] of [...first, ...left]) scripts.set(name, found);
      return true;
    },
    remove: async (name) => scripts.delete(name),
  };
}

/** A SettingStore for the same. */
export function memorySettings(): SettingStore {
  const values = new Map<string, string>();
  return {
    get: async (key) => values.get(key),
    list: async () => Object.fromEntries(values),
    set: async (key, value) => void values.set(key, value),
    delete: async (key) => values.delete(key),
  };
}

/** Stores a text as the next version of a script and makes it active. */
export async function activate(
  store: ScriptStore,
  name: string,
  text: string,
  language: ScriptVersion["language"] = "python",
): Promise<void> {
  const rest = { language, sha256: "", cases: null, createdAt: "", createdBy: "test" };
  const { version } = await store.addVersion({ script: name, text, ...rest });
  await store.activate(name, version, "2025-01-01T00:00:00.000Z");
}
