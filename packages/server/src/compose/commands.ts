import { fileURLToPath } from "node:url";
import type { Directory } from "../accounts/directory.ts";
import { type CommandTable, joinTables } from "../api/command.ts";
import { accessServerCommands } from "../api/commands/access-server.ts";
import { attemptCommands } from "../api/commands/attempts.ts";
import { authenticateCommands } from "../api/commands/authenticate.ts";
import { clientConfigCommands, type IssueConfig } from "../api/commands/client-configs.ts";
import { connectionCommands } from "../api/commands/connections.ts";
import { doctorCommands, type Examination } from "../api/commands/doctor.ts";
import { groupCommands } from "../api/commands/groups.ts";
import { hookCommands } from "../api/commands/hooks.ts";
import { importCommands } from "../api/commands/import-access-server.ts";
import { postAuthCommands } from "../api/commands/post-auth.ts";
import { postAuthAttemptCommands } from "../api/commands/post-auth-attempts.ts";
import { propertyCommands } from "../api/commands/properties.ts";
import { settingCommands } from "../api/commands/settings.ts";
import { shippedScriptCommands } from "../api/commands/shipped-scripts.ts";
import { totpCommands } from "../api/commands/totp.ts";
import { userCommands } from "../api/commands/users.ts";
import { scriptSetting, scriptSettings } from "../api/script-setting.ts";
import type { Pipeline } from "../auth/pipeline.ts";
import type { ClientConfigs, OpenVpnProfile, StaticChallenge } from "../client-configs/client-configs.ts";
import type { Devices } from "../client-configs/devices.ts";
import type { Config } from "../config/config.ts";
import type { AccountLookup } from "../core/account.ts";
import { SallyportError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import { version } from "../core/version.ts";
import type { Hooks } from "../hooks/dispatch.ts";
import type { PostAuthGate } from "../post-auth/gate.ts";
import type { ActiveScript } from "../post-auth/generation.ts";
import type { Replay } from "../post-auth/replay/replay.ts";
import { createShippedScripts } from "../post-auth/shipped.ts";
import type { ScriptVersions } from "../post-auth/versions.ts";
import type { Store } from "../store/store.ts";
import type { ClientScripts } from "./client-scripts.ts";
import { wireGuardOrder } from "./wireguard/order.ts";
import type { DeviceUpkeep } from "./wireguard/upkeep.ts";

const shippedScriptsDirectory = fileURLToPath(new URL("../../../sdk/scripts/", import.meta.url));

/** Everything an administrator can have the running daemon do. */
export function composeCommands(options: {
  store: Store;
  accounts: AccountLookup;
  directory: Directory;
  versions: ScriptVersions;
  replay: Replay;
  clientConfigs: ClientConfigs;
  devices: Devices;
  /** Ends connections, with what that means for WireGuard devices. */
  upkeep: DeviceUpkeep;
  hooks: Hooks;
  pipeline: Pipeline;
  postAuth: PostAuthGate;
  clientScripts: Pick<ClientScripts, "commands" | "comments" | "reports">;
  /** The configuration in force. */
  live: () => Config;
  examine: () => Promise<Examination>;
}): CommandTable {
  const { store, accounts, versions, clientConfigs, devices, upkeep: connections, hooks, pipeline } = options;
  const endSessions = async (userId: string) => void (await store.sessions.end({ userId }));
  const signedOut = async (userId: string, changed: boolean) => {
    if (changed) await endSessions(userId);
    return changed;
  };
  /** Whoever is signed in with a former password signs in again, at the next reconnect or renewal. */
  const directory: Directory = {
    ...options.directory,
    setPassword: async (id, password) => signedOut(id, await options.directory.setPassword(id, password)),
    adoptPassword: async (id, sha256) => signedOut(id, await options.directory.adoptPassword(id, sha256)),
    removePassword: async (id) => signedOut(id, await options.directory.removePassword(id)),
  };
  const endConnections = async (userId: string) => {
    await endSessions(userId);
    return await connections.killAll({ userId }, { reason: "disabled", detail: `account ${userId}` });
  };
  const endDevice = (connectionId: string) =>
    connections.killAll({ connectionId }, { reason: "disabled", detail: "the client config was revoked" });
  const issue: IssueConfig = async ({ userId, profileId, kind, publicKey }) => {
    const profile = options.live().profiles.find(({ id }) => id === profileId);
    if (profile?.tunnel.protocol === "wireguard") {
      const device = await devices.issue(wireGuardOrder({ userId, profileId, kind, publicKey }));
      const comments = await options.clientScripts.comments(profileId, device.config);
      return { ...device, text: [device.text.trimEnd(), ...comments, ""].join("\n") };
    }
    if (publicKey !== undefined)
      throw new SallyportError("invalid-input", "a public key is for WireGuard profiles alone");
    return await clientConfigs.issueOpenVpn({
      userId,
      kind: kind ?? "user-locked",
      profile: openVpnProfile(profileId, options.live()),
      staticChallenge: staticChallengeOf(await options.postAuth.scripts()),
      comments: await options.clientScripts.comments(profileId),
    });
  };
  const script = scriptSetting(versions);
  const settings = settingCommands({
    settings: store.settings,
    elsewhere: { "auth.module.post_auth_script": script },
    families: [scriptSettings(versions)],
  });
  return joinTables(
    userCommands({
      accounts: store.accounts,
      directory,
      lookup: accounts,
      endConnections,
      readmitDevices: (userId) => devices.readmitAll({ userId }),
      revokeDevices: async (userId) => {
        const valid = (await clientConfigs.list({ userId })).filter(({ revokedAt }) => revokedAt === null);
        const at = new Date().toISOString();
        for (const { id } of valid) await store.clientConfigs.revoke(id, at, "deleted");
        return valid.length;
      },
    }),
    totpCommands({
      accounts: store.accounts,
      lookup: accounts,
      usually: () => store.settings.get("vpn.server.google_auth.enable"),
      issuer: () => options.live().node.hostName,
    }),
    groupCommands({ accounts: store.accounts, directory, lookup: accounts }),
    propertyCommands({ accounts: store.accounts, directory, lookup: accounts }),
    settings,
    accessServerCommands({
      accounts: store.accounts,
      directory,
      endConnections,
      settings,
      ledger: store.ledger,
      lookup: accounts,
      configs: clientConfigs,
      issue,
      endDevice,
      listeners: () => ({
        openvpn: openVpnListenersOf(options.live()),
        wireguard: wireGuardInterfacesOf(options.live()),
      }),
      disconnect: (userId) =>
        connections.killAll({ userId }, { reason: "admin", detail: "ended by an administrator (DisconnectUser)" }),
      version: `Sallyport ${version}`,
    }),
    importCommands({ accounts: store.accounts, directory, settings: store.settings, scripts: versions, script }),
    postAuthCommands({ scripts: versions }),
    shippedScriptCommands({
      shipped: createShippedScripts({ directory: shippedScriptsDirectory, versions }),
      scripts: versions,
    }),
    postAuthAttemptCommands({ attempts: store.attempts, replay: options.replay }),
    authenticateCommands({ authenticate: authenticateWith(pipeline) }),
    clientConfigCommands({
      configs: clientConfigs,
      issue,
      endConnections: endDevice,
      readmit: (id) => devices.readmit(id),
    }),
    connectionCommands({
      list: store.ledger.list,
      get: store.ledger.get,
      kill: (id, { mayReturn }) =>
        connections.kill(id, { reason: "admin", detail: "ended by an administrator" }, mayReturn),
      deliveries: store.deliveries.list,
      reports: options.clientScripts.reports,
    }),
    options.clientScripts.commands,
    hookCommands({ hooks: hooks.operations, connection: store.ledger.get }),
    doctorCommands({ examine: options.examine }),
    attemptCommands({ attempts: store.attempts, ledger: store.ledger }),
  );
}

function openVpnListenersOf(config: Config): { profileId: string; listener: string }[] {
  return config.profiles.flatMap(({ id, tunnel }) =>
    tunnel.protocol === "openvpn" && tunnel.mode === "managed"
      ? tunnel.listeners.map(({ name }) => ({ profileId: id, listener: name }))
      : [],
  );
}

function wireGuardInterfacesOf(config: Config): { profileId: string; listener: string }[] {
  return config.profiles.flatMap(({ id, tunnel }) =>
    tunnel.protocol === "wireguard" ? [{ profileId: id, listener: tunnel.interface }] : [],
  );
}

/** The question of the first script that asks one together with the password (`STATIC_CHALLENGE`). */
function staticChallengeOf(scripts: readonly ActiveScript[]): StaticChallenge | undefined {
  for (const { facts } of scripts) {
    if (facts?.staticChallenge) return { text: facts.staticChallenge, echo: facts.staticChallengeEcho };
  }
  return undefined;
}

function openVpnProfile(profileId: string, config: Config): OpenVpnProfile {
  const profile = config.profiles.find(({ id }) => id === profileId);
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
