import { userInfo } from "node:os";
import { join } from "node:path";
import type { Config, HookConfig } from "../config/config.ts";
import { SallyportError } from "../core/errors.ts";
import { logHook } from "../hooks/kinds/log.ts";
import { scriptHook } from "../hooks/kinds/script.ts";
import { webhook } from "../hooks/kinds/webhook.ts";
import type { BoundHook } from "../hooks/tell.ts";
import type { ProgramRunner } from "../runner/runner.ts";

/** A hook of the configuration, ready to be told. */
export function bindHook(hook: HookConfig, runner: ProgramRunner, { dataDirectory }: Config): BoundHook {
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
    default:
      throw new SallyportError("config-invalid", `hook ${name}: there is no such kind in this version`);
  }
}
