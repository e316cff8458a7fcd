import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDirectory } from "../../src/accounts/directory.ts";
import { accountLookup } from "../../src/accounts/lookup.ts";
import { createPasswords } from "../../src/accounts/passwords.ts";
import { serveAdminSocket } from "../../src/api/admin-socket.ts";
import { joinTables } from "../../src/api/command.ts";
import { accessServerCommands } from "../../src/api/commands/access-server.ts";
import { attemptCommands } from "../../src/api/commands/attempts.ts";
import { type Authenticate, authenticateCommands } from "../../src/api/commands/authenticate.ts";
import { clientConfigCommands, type IssueConfig } from "../../src/api/commands/client-configs.ts";
import { connectionCommands } from "../../src/api/commands/connections.ts";
import { groupCommands } from "../../src/api/commands/groups.ts";
import { hookCommands } from "../../src/api/commands/hooks.ts";
import { importCommands } from "../../src/api/commands/import-access-server.ts";
import { postAuthCommands } from "../../src/api/commands/post-auth.ts";
import { postAuthAttemptCommands } from "../../src/api/commands/post-auth-attempts.ts";
import { propertyCommands } from "../../src/api/commands/properties.ts";
import { settingCommands } from "../../src/api/commands/settings.ts";
import { shippedScriptCommands } from "../../src/api/commands/shipped-scripts.ts";
import { totpCommands } from "../../src/api/commands/totp.ts";
import { userCommands } from "../../src/api/commands/users.ts";
import { scriptSetting, scriptSettings } from "../../src/api/script-setting.ts";
import { openAuthority } from "../../src/client-configs/authority.ts";
import { createClientConfigs } from "../../src/client-configs/client-configs.ts";
import { SallyportError } from "../../src/core/errors.ts";
import { newId } from "../../src/core/id.ts";
import type { Log } from "../../src/core/log.ts";
import { createHooks } from "../../src/hooks/dispatch.ts";
import { scriptHook } from "../../src/hooks/kinds/script.ts";
import { createPostAuth } from "../../src/post-auth/gate.ts";
import { createReplay } from "../../src/post-auth/replay/replay.ts";
import { createShippedScripts } from "../../src/post-auth/shipped.ts";
import { createScriptVersions } from "../../src/post-auth/versions.ts";
import { createProgramRunner } from "../../src/runner/programs/program-runner.ts";
import { createPythonLoader } from "../../src/runner/python/loader.ts";
import { createTypeScriptLoader } from "../../src/runner/typescript/loader.ts";
import { openStoreHere } from "../store/open-here.ts";
import { inProcess, type Outcome } from "./sallyport.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** The name of the user whom `authenticate` asks a question. */
export const challengedUser = "careful";

const profile = {
  id: "office",
  displayName: "Office",
  hostName: "vpn.example.org",
  listeners: [{ transport: "udp", port: 1194 }],
} as const;

/** The admin socket over a real store, real accounts and a real hook; what needs a VPN daemon is played. */
export async function startTestDaemon() {
  const directory = await mkdtemp(join(tmpdir(), "cli-"));
  const config = join(directory, "sallyport.yaml");
  await writeFile(config, `dataDirectory: ${directory}\nunknown key: [\n`);
  const store = await openStoreHere(join(directory, "sallyport.db"));
  const passwords = createPasswords();
  const accounts = createDirectory({ store: store.accounts, passwords });
  const lookup = accountLookup(store.accounts);
  const runner = createProgramRunner({ log: silent });
  const hookFile = join(directory, "hook.sh");
  await writeFile(hookFile, "#!/bin/sh\necho heard $VPN_EVENT\n[ $VPN_EVENT = C ]\n", { mode: 0o755 });
  const hook = { path: hookFile, account: undefined, legacyVariableNames: false, workingDirectory: directory };
  const shared = { workingDirectory: join(directory, "scripts"), log: silent };
  const python = createPythonLoader({ ...shared, python: "/usr/bin/python3" });
  const loaders = { python, typescript: createTypeScriptLoader({ ...shared, workersPerScript: 1 }) };
  const hooks = createHooks({
    loadModule: loaders.typescript,
    hooks: [
      {
        terms: {
          name: "firewall",
          events: ["connect", "disconnect"],
          veto: true,
          deadlineMs: 5000,
          onFailure: "deny",
          showOutput: false,
          concurrency: 8,
          graceMs: 0,
          retry: { attempts: 1, firstWaitMs: 10, longestWaitMs: 10 },
        },
        tell: scriptHook(hook, { runner, home: directory }),
        target: `script ${hookFile}`,
      },
    ],
    store,
    runner,
    node: { number: 0, url: "https://vpn.example.org", hostName: "vpn.example.org" },
    log: silent,
  });

  const authority = await openAuthority({ directory: join(directory, "pki") });
  const configs = createClientConfigs({ authority, store: store.clientConfigs });
  const gate = createPostAuth({
    scripts: store.scripts,
    settings: store.settings,
    loaders,
    deadlineMs: () => 5000,
    log: silent,
  });
  const scripts = createScriptVersions({
    scripts: store.scripts,
    settings: store.settings,
    loaders,
    deadlineMs: () => 5000,
    applied: gate.reload,
  });

  const end = async (id: string) =>
    await store.ledger.end(id, {
      at: new Date().toISOString(),
      reason: "admin",
      detail: null,
      counts: null,
      release: true,
      subscribers: [],
    });
  const endConnections = async (userId: string) => {
    const open = await store.ledger.list({ userId, open: true, limit: 100 });
    for (const connection of open) await end(connection.id);
    return open.length;
  };
  const authenticate: Authenticate = async ({ username, password, challenge }) => {
    const attemptId = newId();
    const user = await store.accounts.user(username);
    const { properties } = await lookup.resolve(username);
    if (!user?.passwordDigest || !(await passwords.verify(user.passwordDigest, password))) {
      const reason = "local auth failed: wrong password";
      return { outcome: "deny", attemptId, userId: username, code: "wrong-credentials", reason, clientReason: "No." };
    }
    if (username === challengedUser && challenge?.stateId !== "s2") {
      const stateId = challenge === undefined ? "s1" : "s2";
      const text = challenge === undefined ? "Your pet's name?" : `Not ${challenge.response.reveal()}. Your PIN?`;
      return { outcome: "challenge", attemptId, userId: username, stateId, text, echo: true, responseRequired: true };
    }
    const answer = challenge === undefined ? "" : ` with ${challenge.response.reveal()}`;
    return {
      outcome: "allow",
      attemptId,
      userId: username,
      authMethod: "local",
      reason: `local auth succeeded${answer}`,
      properties,
      group: null,
      save: {},
      session: null,
    };
  };

  const settings = settingCommands({
    settings: store.settings,
    elsewhere: { "auth.module.post_auth_script": scriptSetting(scripts) },
    families: [scriptSettings(scripts)],
  });
  const issue: IssueConfig = async ({ userId, profileId, kind = "user-locked" }) => {
    if (profileId !== "office") throw new SallyportError("not-found", `there is no profile ${profileId}`);
    return await configs.issueOpenVpn({ userId, kind, profile });
  };
  const commands = joinTables(
    userCommands({
      accounts: store.accounts,
      directory: accounts,
      lookup,
      endConnections,
      readmitDevices: async () => {},
      revokeDevices: async () => 0,
    }),
    totpCommands({
      accounts: store.accounts,
      lookup,
      usually: () => store.settings.get("vpn.server.google_auth.enable"),
      issuer: () => profile.hostName,
    }),
    groupCommands({ accounts: store.accounts, directory: accounts, lookup }),
    propertyCommands({ accounts: store.accounts, directory: accounts, lookup }),
    settings,
    accessServerCommands({
      accounts: store.accounts,
      directory: accounts,
      endConnections,
      settings,
      ledger: store.ledger,
      listeners: () => ({
        openvpn: [
          { profileId: "office", listener: "udp/1194" },
          { profileId: "office", listener: "tcp/1194" },
        ],
        wireguard: [{ profileId: "mobile", listener: "wg0" }],
      }),
      lookup,
      configs,
      issue,
      endDevice: async () => undefined,
      disconnect: endConnections,
      version: "Sallyport 1.2.3",
    }),
    importCommands({
      accounts: store.accounts,
      directory: accounts,
      settings: store.settings,
      scripts,
      script: scriptSetting(scripts),
    }),
    postAuthCommands({ scripts }),
    shippedScriptCommands({
      shipped: createShippedScripts({
        directory: join(import.meta.dirname, "../../../sdk/scripts"),
        versions: scripts,
      }),
      scripts,
    }),
    postAuthAttemptCommands({
      attempts: store.attempts,
      replay: createReplay({
        scripts: store.scripts,
        settings: store.settings,
        attempts: store.attempts,
        loaders,
        deadlineMs: () => 5000,
      }),
    }),
    connectionCommands({
      list: (filter) => store.ledger.list(filter),
      get: (id) => store.ledger.get(id),
      kill: end,
      deliveries: (filter) => store.deliveries.list(filter),
      reports: store.clientScripts,
    }),
    attemptCommands({ attempts: store.attempts, ledger: store.ledger }),
    hookCommands({ hooks: hooks.operations, connection: (id) => store.ledger.get(id) }),
    authenticateCommands({ authenticate }),
    clientConfigCommands({
      configs,
      issue,
      endConnections: async () => 0,
      readmit: async (id) => {
        throw new SallyportError("not-found", `there is no WireGuard client config ${id}`);
      },
    }),
  );
  const server = await serveAdminSocket({ path: join(directory, "admin.sock"), commands, log: silent });

  const run = async (args: readonly string[], stdin?: string): Promise<Outcome> =>
    await inProcess(args, { config, ...(stdin === undefined ? {} : { stdin }) });
  return {
    directory,
    config,
    store,
    commands,
    hookFile,
    run,
    /** Runs a command that must succeed and gives its JSON. */
    async json(args: readonly string[], stdin?: string): Promise<unknown> {
      const outcome = await run(["--json", ...args], stdin);
      if (outcome.status !== 0) throw new Error(`${args.join(" ")}: ${outcome.stderr}`);
      return JSON.parse(outcome.stdout);
    },
    async close() {
      await server.close();
      await gate.close();
      await hooks.stop(1000);
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export type TestDaemon = Awaited<ReturnType<typeof startTestDaemon>>;
