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
  const account = process.getuid?.() === 0 ? await createAccountLookup()(scripts.account) : undefined;
  if (account && "fault" in account) {
    throw new SallyportError("config-invalid", `scripts.account: ${account.fault}; name another or make it`);
  }
  const { python, workers, threads } = scripts;
  const shared = { account, workingDirectory, log, ...(workers !== undefined && { workersPerScript: workers }) };
  return {
    python: createPythonLoader({ ...shared, python, ...(threads !== undefined && { threadsPerWorker: threads }) }),
    typescript: createTypeScriptLoader(shared),
  };
}
