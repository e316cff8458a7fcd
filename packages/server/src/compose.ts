import { mkdir } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { createDirectory } from "./accounts/directory.ts";
import { accountLookup, allSubnets } from "./accounts/lookup.ts";
import { createPasswords } from "./accounts/passwords.ts";
import { serveAdminSocket } from "./api/admin-socket.ts";
import { joinTables } from "./api/command.ts";
import { attemptCommands } from "./api/commands/attempts.ts";
import { authenticateCommands } from "./api/commands/authenticate.ts";
import { clientConfigCommands } from "./api/commands/client-configs.ts";
import { connectionCommands } from "./api/commands/connections.ts";
import { groupCommands } from "./api/commands/groups.ts";
import { hookCommands } from "./api/commands/hooks.ts";
import { postAuthCommands } from "./api/commands/post-auth.ts";
import { propertyCommands } from "./api/commands/properties.ts";
import { settingCommands } from "./api/commands/settings.ts";
import { userCommands } from "./api/commands/users.ts";
import { scriptSetting } from "./api/script-setting.ts";
import { LockOut } from "./auth/lock-out.ts";
import { localMethod } from "./auth/methods/local.ts";
import { createPipeline, type Pipeline } from "./auth/pipeline.ts";
import { checkAccount } from "./auth/steps/check-account.ts";
import { checkCertificate } from "./auth/steps/check-certificate.ts";
import { checkLockOut } from "./auth/steps/check-lock-out.ts";
import { checkMethod } from "./auth/steps/check-method.ts";
import { decodeCredentials } from "./auth/steps/decode-credentials.ts";
import { placeInGroup } from "./auth/steps/place-in-group.ts";
import { resumeChallenge } from "./auth/steps/resume-challenge.ts";
import { resumeSession } from "./auth/steps/resume-session.ts";
import { runPostAuth } from "./auth/steps/run-post-auth.ts";
import { openAuthority } from "./client-configs/authority.ts";
import { createClientConfigs } from "./client-configs/client-configs.ts";
import { openVpnListeners } from "./compose/openvpn.ts";
import { refuseWhatNeedsRestart } from "./compose/reload.ts";
import type { Config, HookConfig, ProfileConfig, ScriptsConfig } from "./config/config.ts";
import { Connections } from "./connections/connections.ts";
import { reconcile } from "./connections/reconcile.ts";
import { parseRange } from "./core/address-range.ts";
import { SallyportError } from "./core/errors.ts";
import type { Log } from "./core/log.ts";
import { Secret } from "./core/secret.ts";
import { createOpenVpnDriver } from "./drivers/openvpn/openvpn-driver.ts";
import { createHooks } from "./hooks/dispatch.ts";
import { scriptHook } from "./hooks/kinds/script.ts";
import type { BoundHook } from "./hooks/tell.ts";
import { createLifecycle } from "./lifecycle.ts";
import { createPostAuth } from "./post-auth/gate.ts";
import type { Loaders } from "./post-auth/loaders.ts";
import { createScriptVersions } from "./post-auth/versions.ts";
import { createAccountLookup } from "./runner/programs/accounts.ts";
import { createProgramRunner } from "./runner/programs/program-runner.ts";
import { createPythonLoader } from "./runner/python/loader.ts";
import type { ProgramRunner } from "./runner/runner.ts";
import { openSqlite } from "./store/sqlite.ts";
import type { Store } from "./store/store.ts";

/** A daemon put together from its configuration; nothing runs before `start`. */
export type Daemon = {
  start(): Promise<void>;
  /** Applies a configuration read again, whole or not at all; nobody is dropped. Errors: `config-invalid`. */
  reload(next: Config): void;
  stop(): Promise<void>;
};

/** How many attempts may be under way at once; beyond that clients are told to come back. */
const mostAttempts = 2_000;
/** What an attempt may take beside scripts and hooks. */
const otherWorkMs = 5_000;
const lastDeliveriesMs = 4_000;

/** Reads the whole configuration and hands every stage what it needs: the one place that names adapters. */
export async function composeDaemon({ config, log }: { config: Config; log: Log }): Promise<Daemon> {
  const { dataDirectory } = config;
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const store = await openStore(config, log);
  const runner = createProgramRunner({ log });
  const node = config.node;
  const authority = await openAuthority({ directory: join(dataDirectory, "pki") });

  const accounts = accountLookup(store.accounts);
  const passwords = createPasswords();
  const directory = createDirectory({ store: store.accounts, passwords });
  const hooks = createHooks({
    hooks: config.hooks.map((hook) => bindHook(hook, runner, config)),
    store,
    runner,
    node,
    log,
  });
  let live = config;
  const deadlineMs = () => live.scripts.deadlineMs;
  const loaders = await createScriptLoaders({
    scripts: config.scripts,
    workingDirectory: join(dataDirectory, "scripts"),
    log,
  });
  const postAuth = createPostAuth({ scripts: store.scripts, loaders, deadlineMs, log });
  const versions = createScriptVersions({ scripts: store.scripts, loaders, deadlineMs, applied: postAuth.reload });
  const clientConfigs = createClientConfigs({ authority, store: store.clientConfigs });

  const local = localMethod({
    passwordDigest: async (userId) => (await store.accounts.user(userId))?.passwordDigest,
    verify: passwords.verify,
    verifyNobody: passwords.verifyNobody,
  });
  const lockOut = new LockOut(config.lockOut);
  const pipeline = createPipeline({
    steps: [
      decodeCredentials,
      checkCertificate({ clientConfigs: store.clientConfigs }),
      checkLockOut({ lockOut }),
      resumeChallenge({ challenges: store.challenges }),
      resumeSession({ sessions: store.sessions }),
      checkMethod({
        methods: [local],
        defaultMethod: () => store.settings.get("auth.module.type"),
        accounts,
        postAuth,
      }),
      checkAccount({ accounts }),
      runPostAuth({ postAuth, accounts }),
      placeInGroup({ accounts }),
    ],
    challenges: store.challenges,
    record: (attempt) => {
      store.attempts.record(attempt);
      lockOut.observe(attempt);
    },
    onFault: (attempt, step, error) => log.error({ attempt, step, error }, "a step of an attempt failed"),
  });

  const driver = createOpenVpnDriver({ listeners: await openVpnListeners(config, authority), log });
  const profileOf = (id: string) => live.profiles.find((profile) => profile.id === id);
  const connections = new Connections({
    ledger: store.ledger,
    driver,
    nodeNumber: node.number,
    profile: profileOf,
    groupSubnets: async () =>
      (await allSubnets(store.accounts)).map(({ cidr }) => parseRange(cidr)).filter((range) => range !== undefined),
    hooks,
    queued: hooks.wake,
    log,
  });
  const lifecycle = createLifecycle({
    pipeline,
    connections,
    vetoes: hooks.vetoes,
    driver,
    reconcile: (listener, tunnels) =>
      reconcile({ listener, tunnels, nodeNumber: node.number, ledger: store.ledger, connections, driver, log }),
    keepSession: (session) => store.sessions.put(session),
    longestWaitMs: () => deadlineMs() + hooks.longestVetoMs() + otherWorkMs,
    mostAttempts,
    log,
  });

  const commands = joinTables(
    userCommands({
      accounts: store.accounts,
      directory,
      lookup: accounts,
      endConnections: async (userId) => {
        await store.sessions.end({ userId });
        return await connections.killAll({ userId }, { reason: "disabled", detail: `account ${userId}` });
      },
    }),
    groupCommands({ accounts: store.accounts, directory, lookup: accounts }),
    propertyCommands({ accounts: store.accounts, directory, lookup: accounts }),
    settingCommands({
      settings: store.settings,
      elsewhere: { "auth.module.post_auth_script": scriptSetting(versions) },
    }),
    postAuthCommands({ scripts: versions }),
    authenticateCommands({ authenticate: authenticateWith(pipeline) }),
    clientConfigCommands({
      configs: clientConfigs,
      issue: ({ userId, profileId, kind }) =>
        clientConfigs.issueOpenVpn({
          userId,
          kind,
          profile: openVpnProfile(profileOf(profileId), profileId, config),
        }),
      endConnections: (connectionId) =>
        connections.killAll({ connectionId }, { reason: "disabled", detail: "the client config was revoked" }),
    }),
    connectionCommands({
      list: store.ledger.list,
      get: store.ledger.get,
      kill: (id, { mayReturn }) =>
        connections.kill(id, { reason: "admin", detail: "ended by an administrator" }, mayReturn),
      deliveries: store.deliveries.list,
    }),
    hookCommands({ hooks: hooks.operations, connection: store.ledger.get }),
    attemptCommands({ attempts: store.attempts, ledger: store.ledger }),
  );

  let admin: Awaited<ReturnType<typeof serveAdminSocket>> | undefined;
  return {
    async start() {
      await hooks.start();
      await postAuth.reload();
      await driver.start(lifecycle.events);
      admin = await serveAdminSocket({ path: join(dataDirectory, "admin.sock"), commands, log });
    },
    reload(next) {
      refuseWhatNeedsRestart(live, next);
      live = next;
      lockOut.terms = next.lockOut;
      hooks.replace(next.hooks.map((hook) => bindHook(hook, runner, next)));
    },
    async stop() {
      await admin?.close();
      hooks.endVetoes();
      connections.endingAll({ reason: "shutdown", detail: null });
      await driver.stop("end");
      await lifecycle.settled();
      await hooks.stop(lastDeliveriesMs);
      await postAuth.close();
      await store.close();
    },
  };
}

/** The database of a configuration; `setup` needs it alone. */
export function openStore(config: Config, log: Log): Promise<Store> {
  if (config.database.engine !== "sqlite") {
    throw new SallyportError(
      "config-invalid",
      `this version keeps its data in SQLite; ${config.file} asks for another`,
    );
  }
  const onLoss = (loss: object) => log.error(loss, "attempts could not be recorded and were dropped");
  return openSqlite({ file: join(config.dataDirectory, "sallyport.db"), attempts: { onLoss } });
}

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

function bindHook(hook: HookConfig, runner: ProgramRunner, { dataDirectory }: Config): BoundHook {
  if (hook.kind !== "script") {
    throw new SallyportError("config-invalid", `hook ${hook.name}: there is no such kind in this version`);
  }
  const { kind, path, account, legacyVariableNames, ...terms } = hook;
  const workingDirectory = join(dataDirectory, "hooks", terms.name);
  const home = userInfo().homedir;
  const tell = scriptHook({ path, account, legacyVariableNames, workingDirectory }, { runner, home });
  return { terms, tell, target: `${kind} ${path}` };
}

function openVpnProfile(profile: ProfileConfig | undefined, profileId: string, config: Config) {
  if (profile === undefined) throw new SallyportError("not-found", `there is no profile ${JSON.stringify(profileId)}`);
  if (profile.tunnel.protocol !== "openvpn" || profile.tunnel.mode !== "managed") {
    throw new SallyportError("conflict", `the profile ${profileId} has no OpenVPN server of ours`);
  }
  const { id, displayName, tunnel } = profile;
  return { id, displayName, hostName: config.node.hostName, listeners: tunnel.listeners };
}

function authenticateWith(pipeline: Pipeline): Parameters<typeof authenticateCommands>[0]["authenticate"] {
  return ({ username, password, clientAddress, challenge }) =>
    pipeline.decide({
      kind: "authcli",
      profileId: null,
      protocol: null,
      username,
      password: challenge ? new Secret(`CRV1::${challenge.stateId}::${challenge.response.reveal()}`) : password,
      certificate: undefined,
      clientAddress: clientAddress ?? "127.0.0.1",
      clientPort: undefined,
      hardwareAddress: undefined,
      clientInfo: {},
      certificateFields: {},
    });
}
