import { userInfo } from "node:os";
import { join } from "node:path";
import type { Config, HookConfig } from "../config/config.ts";
import type { Log } from "../core/log.ts";
import { logHook } from "../hooks/kinds/log.ts";
import { createModules } from "../hooks/kinds/module.ts";
import { scriptHook } from "../hooks/kinds/script.ts";
import { webhook } from "../hooks/kinds/webhook.ts";
import type { BoundHook } from "../hooks/tell.ts";
import type { LoadScript, ProgramRunner } from "../runner/runner.ts";
import { createTypeScriptLoader } from "../runner/typescript/loader.ts";
import type { Store } from "../store/store.ts";
import { composeAccounting } from "./radius-accounting.ts";
import { scriptAccount } from "./scripts.ts";

/** Every kind of hook, and what some of them keep running. */
export type HookKinds = {
  /** A hook of the configuration, ready to be told. */
  bind(hook: HookConfig, config: Config): BoundHook;
  /** Brings up what the hooks of a configuration need, and ends what they no longer do. */
  refresh(hooks: readonly HookConfig[]): Promise<void>;
  loadModule: LoadScript;
  close(): Promise<void>;
};

export function createHookKinds(options: {
  runner: ProgramRunner;
  config: Config;
  store: Pick<Store, "ledger">;
  log: Log;
}): HookKinds {
  const { runner, config, store, log } = options;
  const accounting = composeAccounting({ node: config.node, ledger: store.ledger, log });
  const loadModule = moduleLoader(config, log);
  const modules = createModules({ load: loadModule, log });
  return {
    bind: (hook, { dataDirectory }) => {
      const { name, events, veto, deadlineMs, onFailure, showOutput, concurrency, graceMs, retry } = hook;
      const terms = { name, events, veto, deadlineMs, onFailure, showOutput, concurrency, graceMs, retry };
      switch (hook.kind) {
        case "script": {
          const { path, account, legacyVariableNames } = hook;
          const workingDirectory = join(dataDirectory, "hooks", name);
          const home = userInfo().homedir;
          const tell = scriptHook({ path, account, legacyVariableNames, workingDirectory }, { runner, home });
          return { terms, tell, target: `script ${path}` };
        }
        case "webhook":
          return { terms, ...webhook(hook) };
        case "log":
          return { terms, tell: logHook(hook), target: `log ${hook.path}` };
        case "module":
          return { terms, tell: modules.tell(hook.path), target: `module ${hook.path}` };
        case "radiusAccounting":
          return { terms, tell: accounting.of(hook).tell, target: accounting.target(hook) };
      }
    },
    refresh: async (hooks) => {
      accounting.refresh(hooks);
      await modules.refresh(hooks.flatMap((hook) => (hook.kind === "module" ? [hook.path] : [])));
    },
    loadModule,
    close: async () => {
      accounting.close();
      await modules.close();
    },
  };
}

/** As post-auth scripts run, one warm process for each module. */
function moduleLoader({ scripts, dataDirectory }: Config, log: Log): LoadScript {
  let load: Promise<LoadScript> | undefined;
  const prepare = async () => {
    const account = await scriptAccount(scripts.account);
    const workingDirectory = join(dataDirectory, "scripts");
    return createTypeScriptLoader({ account, workingDirectory, workersPerScript: 1, maxWorkersPerScript: 2, log });
  };
  return async (script) => {
    load ??= prepare();
    load.catch(() => {
      load = undefined; // the account may be made meanwhile
    });
    return (await load)(script);
  };
}
