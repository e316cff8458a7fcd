import type { Application, ApplicationSource, ReadCommand } from "./application.ts";

const uninstall = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall";

/** Programs for 64 bit, for 32 bit, and the user's own. */
const views = [
  [`HKLM\\${uninstall}`, "/s", "/reg:64"],
  [`HKLM\\${uninstall}`, "/s", "/reg:32"],
  [`HKCU\\${uninstall}`, "/s"],
];

/** What "Apps" in the settings of Windows shows. */
export function registrySource(read: ReadCommand, systemRoot: string): ApplicationSource {
  return {
    name: "registry",
    async list() {
      const texts = await Promise.all(
        views.map((view) => read(`${systemRoot}\\System32\\reg.exe`, ["query", ...view])),
      );
      return texts.flatMap(readRegistry);
    },
  };
}

/** Reads what `reg.exe query … /s` prints: a line for each key, its values below it with four spaces between columns. */
export function readRegistry(text: string): Application[] {
  const keys: Map<string, string>[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (/^HKEY_/.test(line)) keys.push(new Map());
    const [, name, value] = /^ {4}(\S.*?) {4}REG_\w+(?: {4}(.*))?$/.exec(line) ?? [];
    if (name !== undefined) keys.at(-1)?.set(name, (value ?? "").trim());
  }
  return keys.flatMap((values) => {
    const name = values.get("DisplayName");
    // Parts and updates of others, which the settings do not show either.
    const isPart = Number(values.get("SystemComponent") ?? 0) === 1 || values.has("ParentKeyName");
    if (name === undefined || name === "" || isPart) return [];
    return [{ names: [name], version: values.get("DisplayVersion") }];
  });
}
