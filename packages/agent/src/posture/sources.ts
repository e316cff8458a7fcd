import { homedir } from "node:os";
import { join } from "node:path";
import type { Platform } from "../interpreter/machine.ts";
import type { ApplicationSource, ReadCommand } from "./application.ts";
import { desktopSource, dpkgSource, flatpakSource, rpmSource } from "./linux.ts";
import { bundleSource } from "./mac.ts";
import { readCommand } from "./read-command.ts";
import { registrySource } from "./windows.ts";

/** What knows of the applications of a machine, the most reliable first: the first that knows one answers for it. */
export function applicationSources(
  platform: Platform,
  options: { home?: string; read?: ReadCommand } = {},
): ApplicationSource[] {
  const { home = homedir(), read = readCommand } = options;
  if (platform === "win") return [registrySource()];
  if (platform === "mac") {
    return [bundleSource(read, ["/Applications", "/System/Applications", join(home, "Applications")])];
  }
  const menus = [
    join(home, ".local/share/applications"),
    "/usr/local/share/applications",
    "/usr/share/applications",
    "/var/lib/snapd/desktop/applications",
  ];
  return [dpkgSource(read), rpmSource(read), flatpakSource(read), desktopSource(read, menus)];
}
