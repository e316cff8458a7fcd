import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Application, ApplicationSource, ReadCommand } from "./application.ts";

const mostBundles = 5000;

/** Bundles in the directories and in folders directly below them (`Utilities`). */
export function bundleSource(read: ReadCommand, directories: readonly string[]): ApplicationSource {
  return {
    name: "bundles",
    async list() {
      const bundles = (await Promise.all(directories.map((directory) => bundlesIn(directory, 2)))).flat();
      const found: Application[] = [];
      for (let i = 0; i < Math.min(bundles.length, mostBundles); i += 8) {
        found.push(...(await Promise.all(bundles.slice(i, i + 8).map((bundle) => readBundle(bundle, read)))));
      }
      return found;
    },
  };
}

async function bundlesIn(directory: string, levels: number): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const found = entries.map(async (entry) => {
    const path = join(directory, entry.name);
    if (entry.name.endsWith(".app")) return [path];
    return entry.isDirectory() && levels > 1 ? bundlesIn(path, levels - 1) : [];
  });
  return (await Promise.all(found)).flat();
}

async function readBundle(bundle: string, read: ReadCommand): Promise<Application> {
  const path = join(bundle, "Contents", "Info.plist");
  const text = await readFile(path, "utf8").catch(() => "");
  const xml = text.startsWith("bplist") ? await read("plutil", ["-convert", "xml1", "-o", "-", "--", path]) : text;
  const values = readPropertyList(xml);
  const fileName =
    bundle
      .split("/")
      .at(-1)
      ?.replace(/\.app$/, "") ?? "";
  const names = [fileName, values.get("CFBundleDisplayName"), values.get("CFBundleName")];
  return {
    names: [...new Set(names.filter((name) => name !== undefined && name !== ""))] as string[],
    version: values.get("CFBundleShortVersionString") ?? values.get("CFBundleVersion"),
  };
}

/** The strings of a property list's outermost dictionary; those of dictionaries inside have the same keys at times. */
export function readPropertyList(xml: string): Map<string, string> {
  const values = new Map<string, string>();
  let depth = 0;
  let key: string | undefined;
  for (const [, tag = "", text = ""] of xml.matchAll(/<(\/?(?:dict|array)|key|string)\s*>([^<]*)/g)) {
    if (tag === "dict" || tag === "array") depth += 1;
    else if (tag === "/dict" || tag === "/array") depth -= 1;
    else if (depth === 1 && tag === "key") key = plain(text);
    else if (depth === 1 && key !== undefined) {
      values.set(key, plain(text));
      key = undefined;
    }
  }
  return values;
}

function plain(text: string): string {
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => entities[name] ?? "").trim();
}
