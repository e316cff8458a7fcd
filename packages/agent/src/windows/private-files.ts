import { lstat, realpath } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { windowsAccounts } from "./accounts.ts";
import { type Forbidden, whoElse } from "./judge-descriptor.ts";
import { privilegedAccounts } from "./privileged-accounts.ts";
import { windowsSecurity } from "./security.ts";
import { wellKnown } from "./security-identifier.ts";

/*
 * What only this account may reach or change. For one that runs as an administrator that means administrators and the
 * system: what the same account's programs may change without being that is not believed.
 */

/** Makes a directory, and its parents, for this account, administrators and the system alone, where it is missing. */
export async function makeOwnDirectory(path: string): Promise<void> {
  const security = await windowsSecurity();
  const { sid, elevated } = (await windowsAccounts()).own();
  const [owner, ...more] = elevated ? [wellKnown.administrators] : [sid, wellKnown.administrators];
  const entries = [owner, ...more, wellKnown.system].map((who) => `(A;OICI;FA;;;${who})`);
  const sddl = `O:${owner}D:P${entries.join("")}`;
  const missing: string[] = [];
  for (let at = resolve(path); !(await isThere(at)); at = dirname(at)) {
    missing.unshift(at);
    if (at === dirname(at)) break;
  }
  for (const directory of missing) security.makeDirectory(directory, sddl);
}

/** Why others could do what is `forbidden` with a directory, or put another in its place; undefined where nobody can. */
export async function faultOfDirectory(path: string, forbidden: Forbidden): Promise<string | undefined> {
  const security = await windowsSecurity();
  const believed = await believedNow();
  if (!(await lstat(path)).isDirectory()) return "it must be a directory, and no link";
  return await inWords(whoElse(security.at(path), believed, forbidden) ?? (await faultOfWay(path, believed)));
}

/** Why others than this account could have written an open file; undefined where nobody can. */
export async function faultOfOpenFile(path: string, fd: number): Promise<string | undefined> {
  const security = await windowsSecurity();
  const believed = await believedNow();
  // Its directory too: whoever can put another file there could have put this one.
  return await inWords(
    whoElse(security.ofFile(fd), believed, "change") ??
      prefixed(dirname(path), whoElse(security.at(dirname(path)), believed, "change")),
  );
}

/** Why others than administrators, the system and its installer can put programs there; undefined where nobody can. */
export async function faultOfPrograms(directory: string): Promise<string | undefined> {
  const security = await windowsSecurity();
  const believed = [...privilegedAccounts, wellKnown.trustedInstaller];
  for (const one of new Set([resolve(directory), await realpath(directory)])) {
    const fault = whoElse(security.at(one), believed, "change");
    if (fault !== undefined) return await inWords(fault);
  }
  return await inWords(await faultOfWay(directory, believed));
}

/** Who could put another in the place of a directory in which this lies, by its name or by where links lead. */
async function faultOfWay(path: string, believed: readonly string[]): Promise<string | undefined> {
  const security = await windowsSecurity();
  const installers = [...believed, wellKnown.trustedInstaller];
  for (const one of new Set([resolve(path), await realpath(path)]))
    for (let at = one; at !== dirname(at); at = dirname(at)) {
      const fault = whoElse(security.at(dirname(at)), installers, "replace");
      if (fault !== undefined) return prefixed(dirname(at), fault);
    }
  return undefined;
}

async function believedNow(): Promise<readonly string[]> {
  const { sid, elevated } = (await windowsAccounts()).own();
  return elevated ? privilegedAccounts : [sid, ...privilegedAccounts];
}

/** With the names of accounts, where they have some. */
async function inWords(fault: string | undefined): Promise<string | undefined> {
  const [sid] = /S-1-[-\d]+/.exec(fault ?? "") ?? [];
  if (fault === undefined || sid === undefined) return fault;
  const name = await (await windowsAccounts()).nameOf(sid);
  return name === undefined ? fault : fault.replace(sid, `${name} (${sid})`);
}

function prefixed(path: string, fault: string | undefined): string | undefined {
  return fault === undefined ? undefined : `of ${path}, ${fault}`;
}

async function isThere(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}
