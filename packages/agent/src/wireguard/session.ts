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
  /** Without a new handshake in this time the connection is lost. While packets flow there is one every 2 minutes. */
  silenceMs: number;
};

const pollMs = 500;
const discardPort = 9;

/**
 * WireGuard has no connections, only handshakes: the first one is the tunnel coming up, silence is its loss, the next one
 * after that its return. Packets to `target` make handshakes happen though nobody uses the tunnel.
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
      nextProbe = now + (up ? Math.min(10_000, silenceMs / 4) : 1_000);
    }
    const last = await device.lastHandshake();
    if (ended) return;
    const fresh = last !== undefined && now - last < silenceMs;
    if (fresh && !up) {
      up = true;
      events.up({ ipFour, ipSix, ticket: undefined });
    } else if (!fresh && up) {
      up = false;
      events.down("the server fell silent");
    } else if (last === undefined && now - began > firstAnswerMs) {
      const next = "Check the network, the address, and that the client config was not revoked.";
      return void end(new AgentFailure("unreachable", `${profile.endpoint ?? "The server"} does not answer.`, next));
    }
    timer = setTimeout(again, pollMs);
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
