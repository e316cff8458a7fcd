import { AgentFailure } from "../failure.ts";
import { accountName, accountNumber } from "./account-name.ts";
import { isProgram } from "./is-program.ts";
import { type Believed, whoElseCanChange } from "./who-can-change.ts";

/*
 * Programs that root is to run. On Linux they are where only root puts programs. macOS has none of them itself: they are
 * Homebrew's, whose files belong to whoever installed it, and who could have root run anything by changing one of them.
 */

/** Of macOS: wheel, which is root's, and admin, who may become root by their password. */
const ownersGroups = [0, 80];

/** Whom the owner trusts with what root runs: root, and the accounts that they named (`programsOf` in the policy). */
export async function believedForRoot(programsOf: readonly string[]): Promise<Believed> {
  const numbers = await Promise.all(programsOf.map(accountNumber));
  const uids = [0, ...numbers.filter((one) => one !== undefined)];
  // Homebrew lets its group write, which is admin.
  return { uids, groups: uids.length > 1 ? ownersGroups : [] };
}

/**
 * The first of these paths that is a program, and that nobody can change who is not believed; undefined where none is
 * there.
 * @throws AgentFailure `not-permitted` where those that are there could be changed by others
 */
export async function chooseForRoot(paths: readonly string[], believed: Believed): Promise<string | undefined> {
  let refused: AgentFailure | undefined;
  for (const path of paths.filter(isProgram)) {
    const fault = await faultForRoot(path, believed);
    if (fault === undefined) return path;
    refused ??= fault;
  }
  if (refused !== undefined) throw refused;
  return undefined;
}

/** Why root must not run what a file holds; undefined where nobody can change it who is not believed. */
export async function faultForRoot(path: string, believed: Believed): Promise<AgentFailure | undefined> {
  const changeable = await whoElseCanChange(path, believed);
  if (changeable === undefined) return undefined;
  const name = (await accountName(changeable.uid)) ?? `uid ${changeable.uid}`;
  const who = changeable.by === "its owner" ? name : changeable.by;
  return new AgentFailure(
    "not-permitted",
    `Root does not run ${path}: ${who} can change ${changeable.path}.`,
    changeable.by === "everybody"
      ? `Mend it: sudo chmod o-w ${changeable.path}`
      : `If root may run what ${name} installs: sudo sallyport-agent trust --administrator --programs-of ${name}. Or install it where only root can write.`,
  );
}
