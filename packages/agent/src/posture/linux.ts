import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Application, ApplicationSource, ReadCommand } from "./application.ts";

export function dpkgSource(read: ReadCommand): ApplicationSource {
  return {
    name: "dpkg",
    async list() {
      const text = await read("dpkg-query", ["-W", "-f", `\${db:Status-Abbrev}\t\${Package}\t\${Version}\n`]);
      return rows(text).flatMap(([status = "", name = "", version = ""]) =>
        // The second letter is what there is: installed, whatever is wanted.
        status[1] === "i" ? [{ names: [name], version: upstreamVersion(version) }] : [],
      );
    },
  };
}

export function rpmSource(read: ReadCommand): ApplicationSource {
  return {
    name: "rpm",
    async list() {
      const text = await read("rpm", ["-qa", "--queryformat", "%{NAME}\\t%{VERSION}\\n"]);
      return rows(text).map(([name = "", version]) => ({ names: [name], version }));
    },
  };
}

export function flatpakSource(read: ReadCommand): ApplicationSource {
  return {
    name: "flatpak",
    async list() {
      const text = await read("flatpak", ["list", "--app", "--columns=application,name,version"]);
      return rows(text).map(([id = "", name = "", version]) => ({ names: name === "" ? [id] : [id, name], version }));
    },
  };
}

/**
 * Menu entries, by the names that people read. They tell no versions: that of the package which brought the file counts,
 * and that of an AppImage.
 */
export function desktopSource(read: ReadCommand, directories: readonly string[]): ApplicationSource {
  return {
    name: "desktop files",
    async list() {
      const found: Application[] = [];
      for (const directory of directories) {
        const names = await readdir(directory).catch(() => []);
        for (const name of names.filter((one) => one.endsWith(".desktop"))) {
          const path = join(directory, name);
          const entry = readDesktopEntry(await readFile(path, "utf8").catch(() => ""));
          const shown = entry.get("Name");
          if (shown === undefined || entry.get("Type") !== "Application") continue;
          const version = entry.get("X-AppImage-Version") ?? (() => versionOfOwner(path, read));
          found.push({ names: [shown, name.replace(/\.desktop$/, "")], version });
        }
      }
      return found;
    },
  };
}

export function readDesktopEntry(text: string): Map<string, string> {
  const values = new Map<string, string>();
  let section = "";
  for (const line of text.split(/\r?\n/)) {
    section = /^\[(.*)\]$/.exec(line)?.[1] ?? section;
    const [, key, value] = /^([A-Za-z0-9-]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (section === "Desktop Entry" && key !== undefined && !values.has(key)) values.set(key, value?.trim() ?? "");
  }
  return values;
}

async function versionOfOwner(path: string, read: ReadCommand): Promise<string | undefined> {
  // `firefox-esr: /usr/share/applications/firefox-esr.desktop`
  const owner = /^([^\s:,]+)/.exec(await read("dpkg-query", ["-S", path]))?.[1];
  if (owner !== undefined) {
    const version = (await read("dpkg-query", ["-W", "-f", `\${Version}\n`, owner])).split("\n")[0];
    if (version !== undefined && version !== "") return upstreamVersion(version);
  }
  const ofRpm = await read("rpm", ["-qf", "--queryformat", "%{VERSION}\\n", path]);
  return /^\S+$/m.exec(ofRpm)?.[0];
}

/** Debian's `1:128.5.0esr-1~deb12u1` is its maker's 128.5.0esr: neither epoch nor Debian's own count are (deb-version). */
export function upstreamVersion(version: string): string {
  return version.replace(/^\d+:/, "").replace(/-[^-]*$/, "");
}

function rows(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split("\t").map((column) => column.trim()));
}
