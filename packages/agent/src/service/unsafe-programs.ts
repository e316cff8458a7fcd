import { stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { ownPlatform } from "../machine/system.ts";
import { whoElseCanChange } from "../machine/who-can-change.ts";
import { faultOfPrograms } from "../windows/private-files.ts";

/**
 * Why an administrator's script must not look for programs in these directories (`PREPATH`); undefined where it may:
 * only root can put programs there; on Windows, administrators, the system and its installer.
 */
export async function unsafePrograms(prepath: string | undefined): Promise<string | undefined> {
  if (prepath === undefined || prepath === "") return undefined;
  if (ownPlatform() === "win") return await unsafeOnWindows(prepath);
  for (const directory of prepath.split(":")) {
    if (!isAbsolute(directory)) return `PREPATH names ${JSON.stringify(directory)}, which is no absolute path`;
    const facts = await stat(directory).catch(() => undefined);
    if (facts === undefined) return `PREPATH names ${directory}, which is not there`;
    const changeable = await whoElseCanChange(directory, { uids: [0], groups: [] });
    // On the way there a sticky directory is as good as one of root's alone; here anybody could put a program into it.
    if (changeable !== undefined || (facts.mode & 0o022) !== 0)
      return `PREPATH names ${directory}, where others can put programs: they can change ${changeable?.path ?? directory}`;
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
