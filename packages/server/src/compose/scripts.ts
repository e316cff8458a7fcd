import type { ScriptsConfig } from "../config/config.ts";
import { SallyportError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { Loaders } from "../post-auth/loaders.ts";
import { createAccountLookup } from "../runner/programs/accounts.ts";
import { createPythonLoader } from "../runner/python/loader.ts";

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
  return {
    python: createPythonLoader({
      python,
      account,
      workingDirectory,
      ...(workers !== undefined && { workersPerScript: workers }),
      ...(threads !== undefined && { threadsPerWorker: threads }),
      log,
    }),
  };
}
