import { userInfo } from "node:os";
import { join } from "node:path";
import type { Config, HookConfig } from "../config/config.ts";
import { SallyportError } from "../core/errors.ts";
import { scriptHook } from "../hooks/kinds/script.ts";
import type { BoundHook } from "../hooks/tell.ts";
import type { ProgramRunner } from "../runner/runner.ts";

/** A hook of the configuration, ready to be told. */
export function bindHook(hook: HookConfig, runner: ProgramRunner, { dataDirectory }: Config): BoundHook {
  if (hook.kind !== "script") {
    throw new SallyportError("config-invalid", `hook ${hook.name}: there is no such kind in this version`);
  }
  const { kind, path, account, legacyVariableNames, ...terms } = hook;
  const workingDirectory = join(dataDirectory, "hooks", terms.name);
  const home = userInfo().homedir;
  const tell = scriptHook({ path, account, legacyVariableNames, workingDirectory }, { runner, home });
  return { terms, tell, target: `${kind} ${path}` };
}
