import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { SallyportError } from "../core/errors.ts";
import type { ListedVersion, ScriptVersions } from "./versions.ts";

/** A script that comes with Sallyport, to be enabled with settings instead of edits. */
export type ShippedScript = {
  /** Also under which name it is stored, unless told otherwise. */
  id: string;
  /** The first sentence of the comment it begins with. */
  summary: string;
  text: string;
  cases: string;
};

export type ListedShipped = Omit<ShippedScript, "text" | "cases"> & {
  /** The latest version stored under this name; null where there is none. */
  storedVersion: number | null;
  /** Whether that version is the one shipped: after an upgrade it may be older. */
  isCurrent: boolean;
};

export type ShippedScripts = {
  list(): Promise<ListedShipped[]>;
  /** Throws `not-found` with the names there are. */
  find(name: string): Promise<ShippedScript>;
  /**
   * Stores a shipped script as the next version of `as` (its own name unless told), with its cases. Settings given, in
   * JSON, are set too. It is not live before it is activated, which its settings must allow.
   */
  add(request: { name: string; as?: string; settings?: string; by: string }): Promise<ListedVersion>;
};

const suffix = ".ts";

/** `directory` holds NAME.ts and, beside it, NAME.cases.yaml. */
export function createShippedScripts(options: {
  directory: string;
  versions: Pick<ScriptVersions, "list" | "text" | "add" | "configure">;
}): ShippedScripts {
  const { directory, versions } = options;

  async function all(): Promise<ShippedScript[]> {
    const names = (await readdir(directory)).filter((file) => file.endsWith(suffix));
    return await Promise.all(names.sort().map((file) => read(file.slice(0, -suffix.length))));
  }

  async function read(id: string): Promise<ShippedScript> {
    const [text, cases] = await Promise.all(
      [suffix, ".cases.yaml"].map((end) => readFile(join(directory, id + end), "utf8")),
    );
    return { id, summary: summaryOf(text ?? ""), text: text ?? "", cases: cases ?? "" };
  }

  async function find(name: string): Promise<ShippedScript> {
    const shipped = await all();
    const found = shipped.find(({ id }) => id === name);
    if (found !== undefined) return found;
    const names = shipped.map(({ id }) => id).join(", ");
    throw new SallyportError("not-found", `no script ${JSON.stringify(name)} is shipped; there are ${names}`);
  }

  return {
    find,

    async list() {
      const stored = new Set((await versions.list()).map(({ id }) => id));
      const listed = async ({ id, summary, text }: ShippedScript): Promise<ListedShipped> => {
        const latest = stored.has(id) ? await versions.text(id) : undefined;
        return { id, summary, storedVersion: latest?.version ?? null, isCurrent: latest?.text === text };
      };
      return await Promise.all((await all()).map(listed));
    },

    async add({ name, as = name, settings, by }) {
      const { text, cases } = await find(name);
      const added = await versions.add({ name: as, text, cases, language: "typescript", by });
      if (settings !== undefined) await versions.configure({ name: as, settings });
      return added;
    },
  };
}

function summaryOf(text: string): string {
  return /^\/\*\*\s*\n \* ([^\n]+)/.exec(text)?.[1] ?? "";
}
