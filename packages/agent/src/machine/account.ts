import { userInfo } from "node:os";
import { windowsAccounts } from "../windows/accounts.ts";
import { ownPlatform } from "./system.ts";

/**
 * The account this process runs as. `isRoot`: it may do everything on this machine; on Windows, where an account has two
 * faces, that it runs as an administrator now. `uid` is -1 there.
 */
export type Account = { name: string; home: string; uid: number; isRoot: boolean };

/** From the system's table of accounts, not from the environment. */
export async function ownAccount(): Promise<Account> {
  const { username, homedir, uid } = userInfo();
  const isRoot = ownPlatform() === "win" ? (await windowsAccounts()).own().elevated : uid === 0;
  return { name: username, home: homedir, uid, isRoot };
}
