import { userInfo } from "node:os";

/** The account this process runs as. */
export type Account = { name: string; home: string; uid: number; isRoot: boolean };

/** From the system's table of accounts, not from the environment. */
export function ownAccount(): Account {
  const { username, homedir, uid } = userInfo();
  return { name: username, home: homedir, uid, isRoot: uid === 0 };
}
