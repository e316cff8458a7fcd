import { join } from "node:path";
import { AgentFailure } from "../failure.ts";
import type { Account } from "../machine/account.ts";
import { setNameServers } from "../machine/name-servers.ts";
import type { Places } from "../machine/places.ts";
import { startOpenVpn } from "../openvpn/process.ts";
import { type OpenVpnProcess, runSession } from "../openvpn/session.ts";
import type { Profile } from "../profile/load-profile.ts";
import type { ServiceClient } from "../service/client.ts";
import type { Answers, Tunnel, TunnelEvents } from "../tunnel/tunnel.ts";
import { bringUpWireGuard } from "../wireguard/device.ts";
import { watchWireGuard } from "../wireguard/session.ts";

export type TunnelRequest = {
  profile: Profile;
  account: Account;
  places: Places;
  service: ServiceClient | undefined;
  peerInfo: Readonly<Record<string, string>>;
  openVpnProgram: string | undefined;
  answers: Answers;
  events: TunnelEvents;
  firstAnswerMs: number;
  silenceMs: number;
  log: (text: string) => void;
};

/**
 * Brings the tunnel up: by ourselves where we are root, by the privileged service where we are not.
 * @throws AgentFailure `not-permitted` where neither may
 */
export async function openTunnel(request: TunnelRequest): Promise<Tunnel> {
  const { profile, account, service } = request;
  if (!account.isRoot && service === undefined) {
    throw new AgentFailure(
      "not-permitted",
      "Only root can bring a tunnel up.",
      "Start it with sudo, or have the machine's owner run `sallyport-agent service` (docs/agent.md).",
    );
  }
  return profile.protocol === "openvpn" ? await openOpenVpn(request, profile) : await openWireGuard(request, profile);
}

async function openOpenVpn(
  request: TunnelRequest,
  profile: Extract<Profile, { protocol: "openvpn" }>,
): Promise<Tunnel> {
  const { account, places, service, peerInfo, openVpnProgram, answers, events, firstAnswerMs, log } = request;
  const process: OpenVpnProcess = account.isRoot
    ? await startOpenVpn({
        profileText: profile.openvpn.text,
        peerInfo,
        base: places.tunnels,
        program: openVpnProgram,
        onOutput: log,
      })
    : await (service as ServiceClient).startOpenVpn({ profileText: profile.openvpn.text, peerInfo });
  const { host, port, protocol } = profile.openvpn.remotes[0] ?? { host: "", port: "", protocol: "" };
  const more = profile.openvpn.remotes.length > 1 ? ` and ${profile.openvpn.remotes.length - 1} more` : "";
  return await runSession({
    process,
    answers,
    events,
    serverName: `${host}:${port}/${protocol}${more}`,
    firstAnswerMs,
    onNameServers: (servers) => {
      if (account.isRoot) void setNameServers({ servers, name: "tun-sallyport", log });
      else log(`the server names name servers (${servers.join(", ")}), which were not set`);
    },
  });
}

async function openWireGuard(
  request: TunnelRequest,
  profile: Extract<Profile, { protocol: "wireguard" }>,
): Promise<Tunnel> {
  const { account, places, service, events, firstAnswerMs, silenceMs, log } = request;
  const device = account.isRoot
    ? await bringUpWireGuard({ profile: profile.wireguard, base: join(places.directory, "wireguard"), log })
    : await (service as ServiceClient).startWireGuard(profile.text);
  const target = profile.agentConfig?.address ?? undefined;
  return watchWireGuard({ device, profile: profile.wireguard, target, events, firstAnswerMs, silenceMs });
}
