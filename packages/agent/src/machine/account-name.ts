import { execFile } from "node:child_process";

const deadlineMs = 5_000;

/** The name of an account by its number, where the system keeps them (files, LDAP, SSSD). Undefined: it has none. */
export async function accountName(uid: number): Promise<string | undefined> {
  const [name = "", , number] = await entryOf(String(uid));
  return name !== "" && number === String(uid) ? name : undefined;
}

export async function accountExists(name: string): Promise<boolean> {
  return (await entryOf(name))[0] === name;
}

/** Fields of passwd(5); none where there is no such account. */
function entryOf(key: string): Promise<string[]> {
  return new Promise((resolve) => {
    const options = { timeout: deadlineMs, env: { PATH: "/usr/bin:/bin" } };
    execFile("getent", ["passwd", "--", key], options, (error, stdout) =>
      resolve(error === null ? (stdout.split("\n", 1)[0]?.split(":") ?? []) : []),
    );
  });
}
