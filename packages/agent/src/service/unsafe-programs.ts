import { stat } from "node:fs/promises";
import { dirname, isAbsolute, resolve } from "node:path";

/**
 * Why an administrator's script must not look for programs in these directories (`PREPATH`); undefined where it may:
 * only root can put programs there.
 */
export async function unsafePrograms(prepath: string | undefined): Promise<string | undefined> {
  const own = process.getuid?.();
  if (prepath === undefined || prepath === "" || own === undefined) return undefined;
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
