import { SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Secret } from "../../core/secret.ts";
import type { AccessRequest, Tunnel } from "../../core/vpn-event.ts";
import { addListeners } from "../add-listeners.ts";
import type { Admission, Driver, DriverEvents, Question, Refusal } from "../driver.ts";
import { Listener } from "./listener.ts";

/** One interface of one profile. In tunnels and in the ledger its name is the listener. */
export type WireGuardInterface = {
  profileId: string;
  /** At most 15 bytes, unique on the machine: wireguard-go's sockets are shared by all network namespaces. */
  interface: string;
  /** For the log of wireguard-go and what byte counts begin at; made where it is missing, entered by its owner alone. Absolute. */
  directory: string;
  mode: ManagedInterface | { kind: "attach" };
  trigger: "config" | "handshake";
  /** Handshake trigger: a client not heard of for so long is gone. */
  silenceMs: number;
  /** How often byte counts are read, at most. */
  pollIntervalMs?: number;
  /** Handshake trigger: how often a client that is not let in may ask, at most. */
  askAgainMs?: number;
};

export type ManagedInterface = {
  kind: "managed";
  listenPort: number;
  privateKey: Secret;
  /** The server's own, with the prefix length of their range: `10.43.0.1/20`. */
  addresses: readonly string[];
  mtu?: number;
  /** In wireguard-go's place; a wrapper must `exec` it. */
  program?: string;
};

/** Keys are base64. Without allowed IPs a peer may shake hands, but nothing passes. */
export type WireGuardPeer = { publicKey: string; presharedKey: Secret | null; allowedIps: readonly string[] };

/** `counts`: what the ledger has of its connection, from where counting goes on after the interface was made anew. */
export type ExpectedPeer = WireGuardPeer & { counts?: { bytesIn: number; bytesOut: number } };

/** `tunnel.listener` is the interface's name, `tunnel.key` the public key. */
export type WireGuardRequest = Omit<AccessRequest, "kind" | "protocol"> & {
  peer: Pick<WireGuardPeer, "publicKey" | "presharedKey">;
};

export type WireGuardAnswer =
  | { outcome: "admitted"; admission: Admission }
  | { outcome: "refused"; refusal: Refusal }
  | { outcome: "challenged"; question: Question };

/** How an interface stands, for `doctor` and for the files devices get. */
export type InterfaceStatus = {
  profileId: string;
  interface: string;
  /** False for one that somebody else runs. */
  ours: boolean;
  /** `down`: it is being brought up or waited for; `failure` says why. */
  state: "up" | "down";
  engine: "kernel" | "userspace" | undefined;
  failure: string | undefined;
  publicKey: string | undefined;
  listenPort: number | undefined;
  /** Ours; those of them that are let in; those of others. */
  peers: { ours: number; admitted: number; foreign: number };
};

export interface WireGuardDriver extends Driver {
  /**
   * Puts a device's request through the lifecycle (`asked`) and resolves with its answer. Once it says `admitted`, the
   * peer is on the interface. A challenge is a refusal for whoever cannot answer; who can, asks again with the answer.
   * @throws SallyportError `invalid-input` for a malformed key, `conflict` where this key is being asked for or belongs
   * to a peer of somebody else, `driver-failed` where the interface could not be told, `connection-ended` at a stop
   */
  request(request: WireGuardRequest): Promise<WireGuardAnswer>;
  /**
   * Brings the interface to exactly the expected peers: after client configs were issued (handshake trigger), revoked,
   * or have expired. `gone` is called for those that were let in. Peers that are right already are not touched.
   * @throws SallyportError `driver-failed`
   */
  synchronise(profileId: string): Promise<void>;
  interfaces(): InterfaceStatus[];
  /**
   * Takes more interfaces in while it runs, all or none, and resolves with what takes them away again. One of somebody
   * else's may come later, as at the start.
   * @throws SallyportError `driver-failed` where one of ours is not up
   */
  add(interfaces: readonly WireGuardInterface[]): Promise<() => Promise<void>>;
}

export type WireGuardDriverOptions = {
  interfaces: readonly WireGuardInterface[];
  /**
   * Everybody who belongs on the interface now, as the ledger and the client configs say: those admitted with their
   * addresses (never one whose row is only reserved), and with the handshake trigger everybody else without.
   */
  expected: (profileId: string) => Promise<readonly ExpectedPeer[]>;
  /** Whether a peer was ever ours: in attach mode others are left alone, whatever happens. */
  isOurs: (profileId: string, publicKey: string) => Promise<boolean>;
  /** Handshake trigger: a peer that is not let in shook hands. The caller decides whether to `request`. */
  shookHands: (seen: { tunnel: Tunnel; endpoint: string | null; at: string }) => void;
  /** When peers were last heard of and where; those of which something is new. */
  observed: (seen: { tunnel: Tunnel; endpoint: string | null; lastHandshakeAt: string | null }[]) => void;
  log: Log;
};

/**
 * The driver of WireGuard interfaces, ours and those of others. Nothing runs before `start`. Who is let in lives on the
 * interface as a peer with exactly its addresses; WireGuard itself asks nobody. Answers that nobody waits for any more
 * fail with `connection-ended`, others that the interface could not be told with `driver-failed`.
 */
export function createWireGuardDriver(options: WireGuardDriverOptions): WireGuardDriver {
  const made = (interfaces: readonly WireGuardInterface[]): Map<string, Listener> => {
    const listeners = new Map<string, Listener>();
    for (const one of interfaces) {
      if (listeners.has(one.interface))
        throw new SallyportError("config-invalid", `two profiles have the WireGuard interface ${one.interface}`);
      listeners.set(one.interface, new Listener(one, options));
    }
    return listeners;
  };
  const listeners = made(options.interfaces);
  let started: DriverEvents | undefined;
  const of = ({ listener }: Tunnel): Listener => {
    const found = listeners.get(listener);
    // Of an interface that was taken out of the configuration.
    if (found === undefined) throw new SallyportError("connection-ended", `there is no interface ${listener}`);
    return found;
  };
  const all = (work: (listener: Listener) => Promise<void>) => Promise.all([...listeners.values()].map(work));

  return {
    start: async (events) => {
      started = events;
      await all((listener) => listener.start(events));
    },
    add: (more) => addListeners({ present: listeners, added: made(more), events: started, faultOf }),
    stop: async (how) => void (await all((listener) => listener.stop(how))),
    admit: async (tunnel, admission) => of(tunnel).admit(tunnel, admission),
    refuse: async (tunnel, refusal) => of(tunnel).refuse(tunnel, refusal),
    challenge: async (tunnel, question) => of(tunnel).challenge(tunnel, question),
    // Nobody is asked on the tunnel itself.
    answer: () => false,
    announceWait: async () => undefined,
    disconnect: async (tunnel) => of(tunnel).disconnect(tunnel),
    request: async (request) => of(request.tunnel).request(request),
    synchronise: async (profileId) => {
      await all(async (listener) => {
        if (listener.profileId === profileId) await listener.synchronise();
      });
    },
    interfaces: () => Array.from(listeners.values(), (listener) => listener.status()),
  };
}

function faultOf(listener: Listener): string | undefined {
  const { profileId, interface: name, ours, state, failure } = listener.status();
  if (!ours || state === "up") return undefined;
  return `the interface ${name} of ${profileId} did not come up: ${failure ?? "the log says why"}`;
}
