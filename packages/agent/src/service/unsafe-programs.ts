import { stat } from "node:fs/promises";
import { dirname, isAbsolute, resolve } from "node:path";
import { ownPlatform } from "../machine/system.ts";
import { faultOfPrograms } from "../windows/private-files.ts";

/**
 * Why an administrator's script must not look for programs in these directories (`PREPATH`); undefined where it may:
 * only root can put programs there; on Windows, administrators, the system and its installer.
 */
export async function unsafePrograms(prepath: string | undefined): Promise<string | undefined> {
  if (prepath === undefined || prepath === "") return undefined;
  if (ownPlatform() === "win") return await unsafeOnWindows(prepath);
  const own = process.getuid?.();
  for (const directory of prepath.split(":")) {
    if (!isAbsolute(directory)) return `PREPATH names ${JSON.stringify(directory)}, which is no absolute path`;
    for (let above = resolve(directory); ; above = dirname(above)) {
      const facts = await stat(above).catch(() => undefined);
      if (facts === undefined) return `PREPATH names ${above}, which is not there`;
      const shared = (facts.mode & 0o022) !== 0 && !(above !== resolve(directory) && (facts.mode & 0o1000) !== 0);
      if ((facts.uid !== 0 && facts.uid !== own) || shared)
        return `PREPATH names ${above}, where others can put programs`;
      if (above === dirname(above)) break;
    }
  }
  return undefined;
}

async function unsafeOnWindows(prepath: string): Promise<string | undefined> {
  for (const directory of prepath.split(";")) {
    // Neither relative to a drive, nor on another machine.
    if (!/^[a-z]:[\\/]/i.test(directory))
      return `PREPATH names ${JSON.stringify(directory)}, which is no absolute path`;
    const fault = await faultOfPrograms(directory).catch((error: Error) => `it cannot be looked at: ${error.message}`);
    if (fault !== undefined) return `PREPATH names ${directory}, where others can put programs: ${fault}`;
  }
  return undefined;
}
