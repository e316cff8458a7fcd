import type { Log } from "../../core/log.ts";
import type { Secret } from "../../core/secret.ts";
import type { AccessRequest, Tunnel } from "../../core/vpn-event.ts";
import type { Admission, Question, Refusal } from "../driver.ts";

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
