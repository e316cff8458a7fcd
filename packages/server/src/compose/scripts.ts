import type { ScriptsConfig } from "../config/config.ts";
import { SallyportError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { Loaders } from "../post-auth/loaders.ts";
import { createAccountLookup } from "../runner/programs/accounts.ts";
import { createPythonLoader } from "../runner/python/loader.ts";
import { createTypeScriptLoader } from "../runner/typescript/loader.ts";

/** What runs post-auth scripts, by language: as the account for scripts where we are root, as ourselves elsewhere. */
export async function createScriptLoaders(options: {
  scripts: Pick<ScriptsConfig, "account" | "python"> & Partial<ScriptsConfig>;
  workingDirectory: string;
  log: Log;
}): Promise<Loaders> {
  const { scripts, workingDirectory, log } = options;
  const account = await scriptAccount(scripts.account);
  const { python, workers, threads } = scripts;
  const shared = { account, workingDirectory, log, ...(workers !== undefined && { workersPerScript: workers }) };
  return {
    python: createPythonLoader({ ...shared, python, ...(threads !== undefined && { threadsPerWorker: threads }) }),
    typescript: createTypeScriptLoader(shared),
  };
}

/** Undefined: as ourselves, which is the only choice unless we are root. Errors: `config-invalid`. */
export async function scriptAccount(name: string): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const account = await createAccountLookup()(name);
  if (!("fault" in account)) return account;
  throw new SallyportError("config-invalid", `scripts.account: ${account.fault}; name another or make it`);
}
