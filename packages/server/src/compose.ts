import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createDirectory } from "./accounts/directory.ts";
import { accountLookup } from "./accounts/lookup.ts";
import { createPasswords } from "./accounts/passwords.ts";
import { serveAdminSocket } from "./api/admin-socket.ts";
import { samlRoutes } from "./api/saml.ts";
import { changedMeanwhile } from "./auth/changed-meanwhile.ts";
import { LockOut } from "./auth/lock-out.ts";
import { SamlSignIns } from "./auth/methods/saml-sign-ins.ts";
import { openAuthority } from "./client-configs/authority.ts";
import { createClientConfigs } from "./client-configs/client-configs.ts";
import { composeClientScripts } from "./compose/client-scripts.ts";
import { composeCommands } from "./compose/commands.ts";
import { examineDaemon } from "./compose/doctor/daemon.ts";
import { joinDrivers } from "./compose/drivers.ts";
import { createFigures } from "./compose/figures/figures.ts";
import { nodeFacts } from "./compose/geo-ip.ts";
import { createHookKinds } from "./compose/hooks.ts";
import { composeMethods } from "./compose/methods.ts";
import { composeNetwork, deviceOf, groupSubnets, networkProfiles } from "./compose/network.ts";
import { certificatesOf, openVpnListeners } from "./compose/openvpn.ts";
import { composePipeline } from "./compose/pipeline.ts";
import { prepareAdditions, refuseWhatNeedsRestart } from "./compose/reload.ts";
import { createScriptLoaders } from "./compose/scripts.ts";
import { openStore } from "./compose/store.ts";
import { composeWeb, samlService } from "./compose/web.ts";
import { composeWireGuard } from "./compose/wireguard.ts";
import type { Config } from "./config/config.ts";
import { Connections } from "./connections/connections.ts";
import { startHousekeeping } from "./connections/housekeeping.ts";
import { createPassage } from "./connections/passage.ts";
import { reconcile } from "./connections/reconcile.ts";
import type { Log } from "./core/log.ts";
import { createOpenVpnDriver } from "./drivers/openvpn/openvpn-driver.ts";
import { createHooks } from "./hooks/dispatch.ts";
import { withGrace } from "./hooks/grace.ts";
import { createLifecycle } from "./lifecycle.ts";
import { createPostAuth } from "./post-auth/gate.ts";
import { createReplay } from "./post-auth/replay/replay.ts";
import { createScriptVersions } from "./post-auth/versions.ts";
import { createProgramRunner } from "./runner/programs/program-runner.ts";

/** A daemon put together from its configuration; nothing runs before `start`. */
export type Daemon = {
  start(): Promise<void>;
  /** Applies a configuration read again, whole or not at all; nobody is dropped. Errors: `config-invalid`. */
  reload(next: Config): Promise<void>;
  stop(): Promise<void>;
};

const usualMostAttempts = 2_000;
/** What an attempt may take beside scripts and hooks. */
const otherWorkMs = 15_000;
const lastDeliveriesMs = 4_000;
const lastAnswersMs = 2_000;

/** Reads the whole configuration and hands every stage what it needs: the one place that names adapters. */
export async function composeDaemon(options: {
  config: Config;
  log: Log;
  /** How many attempts may be under way at once; beyond that clients are told to come back. */
  mostAttempts?: number;
  /** The program of managed listeners. */
  openVpnProgram?: string;
}): Promise<Daemon> {
  const { config, log, mostAttempts = usualMostAttempts, openVpnProgram } = options;
  const { dataDirectory } = config;
  // Others may pass through, to the directories that are theirs: scripts and hooks may run as accounts of their own.
  await mkdir(dataDirectory, { recursive: true, mode: 0o711 });
  const figures = createFigures();
  const store = figures.watchStore(await openStore(config, log));
  const runner = createProgramRunner({ log, python: config.scripts.python });
  const node = config.node;
  const authority = await openAuthority({ directory: join(dataDirectory, "pki") });

  const accounts = accountLookup(store.accounts);
  const passwords = createPasswords();
  const profiles = () => live.profiles;
  const clientScripts = await composeClientScripts({ config, profiles, store, authority, log });
  const directory = createDirectory({ store: clientScripts.accounts, passwords });
  const kinds = createHookKinds({ runner, config, store, log });
  const hooks = createHooks({
    hooks: config.hooks.map((hook) => figures.watchHook(kinds.bind(hook, config))),
    store,
    runner,
    loadModule: kinds.loadModule,
    node: await nodeFacts(config, log),
    log,
  });
  let live = config;
  const deadlineMs = () => live.scripts.deadlineMs;
  const loaders = figures.watchLoaders(
    await createScriptLoaders({
      scripts: config.scripts,
      workingDirectory: join(dataDirectory, "scripts"),
      log,
    }),
  );
  const postAuth = createPostAuth({ scripts: store.scripts, settings: store.settings, loaders, deadlineMs, log });
  const versions = createScriptVersions({
    scripts: store.scripts,
    settings: store.settings,
    loaders,
    deadlineMs,
    applied: postAuth.reload,
  });
  const clientConfigs = createClientConfigs({ authority, store: store.clientConfigs });

  const profileOf = (id: string) => live.profiles.find((profile) => profile.id === id);
  const lockOut = new LockOut(config.lockOut);
  const signIns = new SamlSignIns();
  const methods = composeMethods({
    store,
    passwords,
    nasIdentifier: node.hostName,
    publicUrl: config.http.publicUrl,
    signIns,
    log,
  });
  const pipeline = composePipeline({
    certificates: (id) => certificatesOf(profileOf(id ?? "")),
    store,
    accounts,
    methods,
    postAuth,
    lockOut,
    mostQuestions: () => live.scripts.mostQuestions,
    mostDevices: (id) => profileOf(id)?.devices?.most ?? null,
    counted: figures.attempt,
    log,
  });

  const openvpn = createOpenVpnDriver({ listeners: await openVpnListeners(config, authority, openVpnProgram), log });
  const wireguard = await composeWireGuard({ config, live: () => live, store, log });
  const driver = joinDrivers({ openvpn, wireguard: wireguard.driver, isWireGuard: wireguard.isWireGuard });
  const network = composeNetwork({ config, accounts: store.accounts, log });
  const passage = createPassage({
    ledger: store.ledger,
    network,
    nodeNumber: node.number,
    profile: profileOf,
    device: (listener) => deviceOf(live, listener),
  });
  const connections = new Connections({
    ledger: withGrace(store.ledger, hooks.graceMs),
    driver,
    nodeNumber: node.number,
    profile: profileOf,
    groupSubnets: () => groupSubnets(store.accounts),
    passage,
    hooks,
    queued: hooks.wake,
    log,
  });
  const { devices, upkeep, reconcile: reconcileInterface } = wireguard.complete({ pipeline, connections, passage });
  const lifecycle = createLifecycle({
    pipeline,
    connections,
    passage,
    vetoes: hooks.vetoes,
    driver,
    reconcile: (listener, tunnels) =>
      wireguard.isWireGuard(listener.profileId)
        ? reconcileInterface(listener, tunnels)
        : reconcile({ ...store, listener, tunnels, nodeNumber: node.number, connections, passage, driver, log }),
    changedMeanwhile: changedMeanwhile(store),
    ticketFor: clientScripts.ticketFor,
    keepSession: (session) => store.sessions.put(session),
    refusedAfterwards: async (attempt, refusal) => {
      figures.refusedAfterwards(refusal.code);
      await store.attempts.refusedAfterwards(attempt, refusal);
    },
    // Each script of the chain has the deadline to itself.
    longestWaitMs: async () => deadlineMs() * (await postAuth.scripts()).length + hooks.longestVetoMs() + otherWorkMs,
    mostAttempts,
    log,
  });

  const commands = composeCommands({
    store: { ...store, accounts: clientScripts.accounts },
    clientScripts,
    accounts,
    directory,
    versions,
    replay: createReplay({ ...store, loaders, deadlineMs }),
    clientConfigs,
    devices,
    upkeep,
    hooks,
    pipeline,
    postAuth,
    live: () => live,
    examine: examineDaemon({
      listeners: openvpn.listeners,
      interfaces: wireguard.driver.interfaces,
      scripts: postAuth.scripts,
      settings: store.settings,
      attempts: store.attempts,
      nasIdentifier: () => node.hostName,
      groupSubnets: () => groupSubnets(store.accounts),
      inspectNetwork: () => network.inspect(),
    }),
  });

  const startNetwork = async () => {
    const clients = await passage.clients();
    await network.start({ profiles: networkProfiles(live), clients });
  };

  let housekeeping: ReturnType<typeof startHousekeeping> | undefined;
  let admin: Awaited<ReturnType<typeof serveAdminSocket>> | undefined;
  let web: Awaited<ReturnType<typeof composeWeb>> | undefined;
  return {
    async start() {
      web = await composeWeb({
        config,
        live: () => live,
        authority,
        store,
        figures,
        listeners: openvpn.listeners,
        interfaces: wireguard.driver.interfaces,
        spawners: () => runner.spawnerPids().length,
        started: () => admin !== undefined,
        routes: [
          samlRoutes({ service: samlService({ config, store, signIns }), answer: driver.answer, log }),
          clientScripts.routes,
        ],
        log,
      });
      await kinds.refresh(config.hooks);
      await hooks.start();
      await postAuth.reload();
      await startNetwork();
      await upkeep.begin();
      await driver.start(lifecycle.events);
      housekeeping = startHousekeeping({ connections, devices: upkeep, store, keep: () => live.keep, log });
      admin = await serveAdminSocket({ path: join(dataDirectory, "admin.sock"), commands, log });
    },
    async reload(next) {
      const before = live;
      refuseWhatNeedsRestart(before, next);
      const bound = next.hooks.map((hook) => figures.watchHook(kinds.bind(hook, next)));
      const drivers = { openvpn, wireguard: wireguard.driver };
      const additions = await prepareAdditions({ live: before, next, ...drivers, authority, openVpnProgram });
      live = next;
      try {
        await startNetwork();
        await additions.start();
      } catch (error) {
        live = before;
        await startNetwork().catch((again: unknown) =>
          log.error({ error: again }, "the network could not be set back"),
        );
        throw error;
      }
      lockOut.terms = next.lockOut;
      hooks.replace(bound);
      await kinds.refresh(next.hooks);
    },
    async stop() {
      await Promise.all([admin?.close(), web?.close()]);
      housekeeping?.stop();
      devices.stop();
      hooks.endVetoes();
      connections.endingAll({ reason: "shutdown", detail: null });
      await driver.stop("end");
      // Whoever still waits for a script is let in by nobody any more; what remains does not wait for them.
      await within(lastAnswersMs, lifecycle.settled());
      await network.stop("end");
      await hooks.stop(lastDeliveriesMs);
      await within(
        lastAnswersMs,
        Promise.all([postAuth.close(), kinds.close(), ...methods.map((method) => method.close?.())]),
      );
      await store.close();
    },
  };
}

function within(ms: number, work: Promise<unknown>): Promise<unknown> {
  return Promise.race([work, pause(ms, undefined, { ref: false })]);
}
