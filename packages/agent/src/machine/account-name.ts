import { execFile } from "node:child_process";
import { windowsAccounts } from "../windows/accounts.ts";
import { ownPlatform } from "./system.ts";

const deadlineMs = 5_000;

/**
 * The name of an account by its number, where the system keeps them (files, LDAP, SSSD; on macOS its directory service).
 * Undefined: it has none.
 */
export async function accountName(uid: number): Promise<string | undefined> {
  const name = await id("-un", `${uid}`);
  // `id` looks for an account of that name first, and names may be numbers.
  return name !== "" && (await id("-u", name)) === `${uid}` ? name : undefined;
}

/** An account's name as this system itself has it; undefined where there is none. */
export async function accountNamed(name: string): Promise<string | undefined> {
  if (name === "") return undefined;
  if (ownPlatform() === "win") return await (await windowsAccounts()).named(name);
  return (await id("-un", name)) === name ? name : undefined;
}

/** Windows does not look at capital letters. */
export function sameAccountName(one: string, other: string): boolean {
  return ownPlatform() === "win" ? one.toLowerCase() === other.toLowerCase() : one === other;
}

/** Undefined where there is no account of that name. */
export async function accountNumber(name: string): Promise<number | undefined> {
  return (await accountNamed(name)) === undefined ? undefined : Number(await id("-u", name));
}

/** What id(1) prints of an account, the same on Linux and macOS; empty where there is none. */
function id(what: "-u" | "-un", account: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { timeout: deadlineMs, env: { PATH: "/usr/bin:/bin", LC_ALL: "C" } };
    execFile("id", [what, "--", account], options, (error, stdout) => resolve(error === null ? stdout.trim() : ""));
  });
}
