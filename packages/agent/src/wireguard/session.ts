import { createSocket } from "node:dgram";
import { AgentFailure } from "../failure.ts";
import type { WireGuardProfile } from "../profile/wireguard-file.ts";
import type { Tunnel, TunnelEvents } from "../tunnel/tunnel.ts";
import type { WireGuardDevice } from "./device.ts";

export type WatchOptions = {
  device: WireGuardDevice;
  profile: WireGuardProfile;
  /** An address that only the tunnel leads to, for packets that keep it awake. */
  target: string | undefined;
  events: TunnelEvents;
  /** Without a handshake in this time the server is unreachable. */
  firstAnswerMs: number;
  /** Nothing heard of the server for so long: the connection is lost. */
  silenceMs: number;
};

const firstPollMs = 250;
const discardPort = 9;

/**
 * WireGuard has no connections: the first handshake is the tunnel coming up, silence is its loss, a handshake after that
 * its return. What makes silence mean something are packets to `target`: whoever gets one and has nothing to say answers
 * with a keepalive within 10 s (section 6.5 of WireGuard's paper).
 */
export function watchWireGuard(options: WatchOptions): Tunnel {
  const { device, profile, events, firstAnswerMs, silenceMs } = options;
  const target = options.target ?? firstHostOf(profile.allowed[0] ?? "");
  const done = Promise.withResolvers<AgentFailure | undefined>();
  const began = Date.now();
  const [ipFour, ipSix] = [".", ":"].map((sign) => profile.addresses.find((one) => one.includes(sign))?.split("/")[0]);
  let up = false;
  let ended = false;
  let nextProbe = 0;
  let heardAt = 0;
  let received = 0;
  let timer: NodeJS.Timeout | undefined;
  const probe = createSocket(target.includes(":") ? "udp6" : "udp4");
  probe.on("error", () => undefined);
  probe.unref();

  const end = async (failure: AgentFailure | undefined) => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    probe.close();
    if (up) events.down("the connection is gone");
    await device.takeDown();
    done.resolve(failure);
  };
  const look = async () => {
    const now = Date.now();
    if (now >= nextProbe) {
      probe.send("", discardPort, target, () => undefined);
      nextProbe = now + (up ? silenceMs / 4 : 1_000);
    }
    const { lastHandshake, receivedBytes } = await device.traffic();
    if (ended) return;
    if (receivedBytes !== received) heardAt = Date.now();
    received = receivedBytes;
    const heard = lastHandshake !== null && Date.now() - heardAt < silenceMs;
    if (heard && !up) {
      up = true;
      events.up({ ipFour, ipSix, ticket: undefined });
    } else if (!heard && up) {
      up = false;
      events.down("the server fell silent");
      events.progress("Reconnecting");
    } else if (lastHandshake === null && now - began > firstAnswerMs) {
      const next = "Check the network, the address, and that the client config was not revoked.";
      return void end(new AgentFailure("unreachable", `${profile.endpoint ?? "The server"} does not answer.`, next));
    }
    // Each look is a process: seldom while all is well.
    timer = setTimeout(again, up ? silenceMs / 8 : firstPollMs);
  };
  const again = () =>
    void look().catch((error: Error) => end(new AgentFailure("failed", `The tunnel is gone: ${error.message}`)));
  events.progress(`Connecting to ${profile.endpoint ?? "the server"}`);
  again();
  return {
    ended: done.promise,
    stop: async () => {
      await end(undefined);
      await done.promise;
    },
  };
}

/** `10.0.0.1` of `10.0.0.0/8`: any address that is routed into the tunnel serves. */
function firstHostOf(network: string): string {
  const [address = ""] = network.split("/");
  if (address.includes(":")) return address.endsWith("::") ? `${address}1` : address;
  return address === "0.0.0.0" ? "192.0.2.1" : address.replace(/\.0$/, ".1");
}
