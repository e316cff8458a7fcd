import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ScriptsConfig } from "../config/config.ts";
import { readConfig } from "../config/load.ts";
import { SallyportError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { Loaders } from "../post-auth/loaders.ts";
import { createAccountLookup } from "../runner/programs/accounts.ts";
import { createPythonLoader } from "../runner/python/loader.ts";
import { createTypeScriptLoader } from "../runner/typescript/loader.ts";

/** Loads scripts as the daemon would, where no daemon need run. */
export type ScriptTrial = {
  loaders: Loaders;
  /** For each call of a case. */
  deadlineMs: number;
  /** False where the configuration is missing or has faults, and the usual interpreter and account stand in. */
  configured: boolean;
  /** To be called when every host is closed. */
  close(): Promise<void>;
};

const usual: Pick<ScriptsConfig, "account" | "python" | "deadlineMs"> = {
  account: "nobody",
  python: "/usr/bin/python3",
  deadlineMs: 10_000,
};

/**
 * What `post-auth check` and `post-auth test` of a file need: a loader that runs scripts under the interpreter and
 * account of the configuration, in a directory that is gone afterwards.
 */
export async function openScriptTrial(options: {
  configFile: string;
  environment: Readonly<Record<string, string | undefined>>;
}): Promise<ScriptTrial> {
  const read = await readConfig({ file: options.configFile, environment: options.environment });
  const { account: accountName, python, deadlineMs } = "config" in read ? read.config.scripts : usual;
  const account = process.getuid?.() === 0 ? await createAccountLookup()(accountName) : undefined;
  if (account !== undefined && "fault" in account) {
    throw new SallyportError("config-invalid", `scripts.account: ${account.fault}; name another or make it`);
  }
  const directory = await mkdtemp(join(tmpdir(), "sallyport-trial-"));
  // The account must be able to reach its own directory below.
  await chmod(directory, 0o711);
  const shared = { account, workingDirectory: join(directory, "scripts"), workersPerScript: 1, log: silent };
  return {
    loaders: { python: createPythonLoader({ ...shared, python }), typescript: createTypeScriptLoader(shared) },
    deadlineMs,
    configured: "config" in read,
    close: async () => await rm(directory, { recursive: true, force: true }),
  };
}

/** What a script prints comes with its results. */
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
