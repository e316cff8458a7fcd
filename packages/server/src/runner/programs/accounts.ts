import { execFile } from "node:child_process";

export type Account = { uid: number; gid: number; home: string };

const keptMs = 60_000;
const lookupDeadlineMs = 5_000;

/**
 * Looks accounts up by name where the system keeps them (files, LDAP, SSSD), through getent, so that nothing blocks.
 * What was found is kept for a minute; an account that is not there is looked for again each time.
 */
export function createAccountLookup(): (name: string) => Promise<Account | { fault: string }> {
  const found = new Map<string, { account: Account; until: number }>();
  return async (name) => {
    const kept = found.get(name);
    if (kept !== undefined && kept.until > performance.now()) return kept.account;
    const answer = await ask(name);
    if (!("fault" in answer)) found.set(name, { account: answer, until: performance.now() + keptMs });
    return answer;
  };
}

function ask(name: string): Promise<Account | { fault: string }> {
  const unknown = { fault: `there is no account ${JSON.stringify(name)} on this machine to run programs as` };
  if (name === "" || name.includes("\0") || name.includes(":")) return Promise.resolve(unknown);
  return new Promise((resolve) => {
    const options = { timeout: lookupDeadlineMs, killSignal: "SIGKILL", env: { PATH: "/usr/bin:/bin" } } as const;
    execFile("getent", ["passwd", "--", name], options, (error, stdout) => {
      if (error === null) return resolve(readEntry(name, stdout) ?? unknown);
      // 2: one or more keys were not found. Anything else is no answer.
      if (error.code === 2) return resolve(unknown);
      resolve({ fault: `the account ${JSON.stringify(name)} could not be looked up: ${error.message.trim()}` });
    });
  });
}

/** getent also finds by number: an entry counts only under its own name. */
function readEntry(name: string, text: string): Account | undefined {
  const [entry, , uid, gid, , home] = text.split("\n", 1)[0]?.split(":") ?? [];
  if (entry !== name || !/^\d+$/.test(uid ?? "") || !/^\d+$/.test(gid ?? "")) return undefined;
  return { uid: Number(uid), gid: Number(gid), home: home || "/" };
}
