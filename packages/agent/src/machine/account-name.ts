import { execFile } from "node:child_process";

const deadlineMs = 5_000;

/** The name of an account by its number, where the system keeps them (files, LDAP, SSSD). Undefined: it has none. */
export function accountName(uid: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { timeout: deadlineMs, env: { PATH: "/usr/bin:/bin" } };
    execFile("getent", ["passwd", "--", String(uid)], options, (error, stdout) => {
      const [name = "", , number] = stdout.split("\n", 1)[0]?.split(":") ?? [];
      resolve(error === null && name !== "" && number === String(uid) ? name : undefined);
    });
  });
}
