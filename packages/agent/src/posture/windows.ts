import { type RegistryView, readSubkeys } from "../windows/registry.ts";
import type { Application, ApplicationSource } from "./application.ts";

const uninstall = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall";

/** Programs for 64 bit, for 32 bit, and the user's own. */
const views: readonly RegistryView[] = ["machine-64", "machine-32", "account"];

/** What is read of each program's key; some have only one for the version, in numbers. */
const names = ["DisplayName", "DisplayVersion", "SystemComponent", "ParentKeyName", "VersionMajor", "VersionMinor"];

/** What "Apps" in the settings of Windows shows. */
export function registrySource(read: typeof readSubkeys = readSubkeys): ApplicationSource {
  return {
    name: "registry",
    async list() {
      const keys = await Promise.all(views.map((view) => read(view, uninstall, names)));
      return keys.flat().flatMap((values) => applicationOf(values) ?? []);
    },
  };
}

function applicationOf(values: ReadonlyMap<string, string>): Application | undefined {
  const name = values.get("DisplayName")?.trim() ?? "";
  // Parts and updates of others, which the settings do not show either.
  const isPart = Number(values.get("SystemComponent") ?? 0) === 1 || values.has("ParentKeyName");
  if (name === "" || isPart) return undefined;
  return { names: [name], version: versionOf(values) };
}

function versionOf(values: ReadonlyMap<string, string>): string | undefined {
  const shown = values.get("DisplayVersion")?.trim() ?? "";
  const [major, minor] = [values.get("VersionMajor"), values.get("VersionMinor")];
  if (shown !== "") return shown;
  return major === undefined || minor === undefined ? undefined : `${major}.${minor}`;
}
