import type { Directory } from "../accounts/directory.ts";
import type { ClientConfigs } from "../client-configs/client-configs.ts";
import type { Connections } from "../connections/connections.ts";
import type { AccountLookup } from "../core/account.ts";
import type { HookOperations } from "../hooks/operations.ts";
import type { ScriptVersions } from "../post-auth/versions.ts";
import type { Store } from "../store/store.ts";
import { type CommandTable, joinTables } from "./command.ts";
import { attemptCommands } from "./commands/attempts.ts";
import { type Authenticate, authenticateCommands } from "./commands/authenticate.ts";
import { clientConfigCommands, type IssueConfig } from "./commands/client-configs.ts";
import { connectionCommands } from "./commands/connections.ts";
import { groupCommands } from "./commands/groups.ts";
import { hookCommands } from "./commands/hooks.ts";
import { postAuthCommands } from "./commands/post-auth.ts";
import { propertyCommands } from "./commands/properties.ts";
import { settingCommands } from "./commands/settings.ts";
import { userCommands } from "./commands/users.ts";
import { scriptSetting } from "./script-setting.ts";

/** Everything administrators can have the daemon do. */
export function daemonCommands(deps: {
  store: Store;
  directory: Directory;
  lookup: AccountLookup;
  connections: Pick<Connections, "kill" | "killAll">;
  scripts: ScriptVersions;
  clientConfigs: Pick<ClientConfigs, "list" | "revoke">;
  issue: IssueConfig;
  hooks: HookOperations;
  authenticate: Authenticate;
}): CommandTable {
  const { store, directory, lookup, connections } = deps;
  const { accounts, settings, attempts, ledger, deliveries } = store;
  const people = { accounts, directory, lookup };
  return joinTables(
    userCommands({
      ...people,
      endConnections: (userId) => connections.killAll({ userId }, { reason: "disabled", detail: null }),
    }),
    groupCommands(people),
    propertyCommands(people),
    settingCommands({ settings, elsewhere: { "auth.module.post_auth_script": scriptSetting(deps.scripts) } }),
    postAuthCommands({ scripts: deps.scripts }),
    clientConfigCommands({
      configs: deps.clientConfigs,
      issue: deps.issue,
      endConnections: (connectionId) =>
        connections.killAll({ connectionId }, { reason: "disabled", detail: "its client config was revoked" }),
    }),
    connectionCommands({
      list: (filter) => ledger.list(filter),
      get: (id) => ledger.get(id),
      kill: (id, { mayReturn }) => connections.kill(id, { reason: "admin", detail: null }, mayReturn),
      deliveries: (filter) => deliveries.list(filter),
    }),
    hookCommands({ hooks: deps.hooks, connection: (id) => ledger.get(id) }),
    attemptCommands({ attempts }),
    authenticateCommands({ authenticate: deps.authenticate }),
  );
}
