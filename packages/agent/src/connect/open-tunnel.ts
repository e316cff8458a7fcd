import { join } from "node:path";
import { AgentFailure } from "../failure.ts";
import type { Account } from "../machine/account.ts";
import { rootWords } from "../machine/as-root.ts";
import { believableNameServers, type NameServerSetting, type NameServers } from "../machine/name-servers.ts";
import type { Places } from "../machine/places.ts";
import { nameServersOf } from "../machine/set-name-servers.ts";
import { ownPlatform } from "../machine/system.ts";
import { startOpenVpn } from "../openvpn/process.ts";
import { type OpenVpnProcess, runSession } from "../openvpn/session.ts";
import type { Profile } from "../profile/load-profile.ts";
import type { ServiceClient } from "../service/client.ts";
import type { Answers, Tunnel, TunnelEvents } from "../tunnel/tunnel.ts";
import { bringUpWireGuard } from "../wireguard/bring-up.ts";
import { watchWireGuard } from "../wireguard/session.ts";

export type TunnelRequest = {
  profile: Profile;
  account: Account;
  places: Places;
  service: ServiceClient | undefined;
  peerInfo: Readonly<Record<string, string>>;
  openVpnProgram: string | undefined;
  /** macOS: accounts whose programs root may run, by the owner's word. */
  programsOf: () => Promise<readonly string[]>;
  answers: Answers;
  events: TunnelEvents;
  firstAnswerMs: number;
  silenceMs: number;
  onSignIn: (url: string) => void;
  log: (text: string) => void;
};

/**
 * Brings the tunnel up: by ourselves where we are root, by the privileged service where we are not.
 * @throws AgentFailure `not-permitted` where neither may
 */
export async function openTunnel(request: TunnelRequest): Promise<Tunnel> {
  const { profile, account, service } = request;
  if (!account.isRoot && service === undefined) {
    const { root, become } = rootWords();
    throw new AgentFailure(
      "not-permitted",
      `Only ${root} can bring a tunnel up.`,
      `${become} Or have the machine's owner install its service (docs/agent-service.md).`,
    );
  }
  return profile.protocol === "openvpn" ? await openOpenVpn(request, profile) : await openWireGuard(request, profile);
}

async function openOpenVpn(
  request: TunnelRequest,
  profile: Extract<Profile, { protocol: "openvpn" }>,
): Promise<Tunnel> {
  const { account, places, service, peerInfo, openVpnProgram, answers, events, firstAnswerMs, log } = request;
  const openvpn: OpenVpnProcess = account.isRoot
    ? await startOpenVpn({
        profileText: profile.openvpn.text,
        peerInfo,
        base: places.tunnels,
        program: openVpnProgram,
        programsOf: request.programsOf,
        onOutput: log,
      })
    : await (service as ServiceClient).startOpenVpn({ profileText: profile.openvpn.text, peerInfo });
  const { host, port, protocol } = profile.openvpn.remotes[0] ?? { host: "", port: "", protocol: "" };
  const more = profile.openvpn.remotes.length > 1 ? ` and ${profile.openvpn.remotes.length - 1} more` : "";
  const nameServers =
    service === undefined
      ? nameServersOf({ platform: ownPlatform(), name: `sallyport.${process.pid}`, log })
      : nameServersByService(service, log);
  const tunnel = await runSession({
    process: openvpn,
    answers,
    events,
    serverName: `${host}:${port}/${protocol}${more}`,
    firstAnswerMs,
    onSignIn: request.onSignIn,
    onNameServers: (pushed) => void nameServers.set(pushed),
  });
  const ended = tunnel.ended.then(async (failure) => {
    await nameServers.close();
    return failure;
  });
  return { ended, stop: () => tunnel.stop().then(() => ended.then(() => undefined)) };
}

/** The service takes them away itself with the tunnel. */
function nameServersByService(service: ServiceClient, log: (text: string) => void): NameServerSetting {
  const set = (pushed: NameServers) =>
    service
      .setNameServers(believableNameServers(pushed))
      .catch((error: Error) => log(`the name servers ${pushed.servers.join(", ")} were not set: ${error.message}`));
  return { set, close: async () => undefined };
}

async function openWireGuard(
  request: TunnelRequest,
  profile: Extract<Profile, { protocol: "wireguard" }>,
): Promise<Tunnel> {
  const { account, places, service, events, firstAnswerMs, silenceMs, log } = request;
  const device = account.isRoot
    ? await bringUpWireGuard({
        profile: profile.wireguard,
        base: join(places.directory, "wireguard"),
        programsOf: request.programsOf,
        log,
      })
    : await (service as ServiceClient).startWireGuard(profile.text);
  const target = profile.agentConfig?.address ?? undefined;
  return watchWireGuard({ device, profile: profile.wireguard, target, events, firstAnswerMs, silenceMs });
}
