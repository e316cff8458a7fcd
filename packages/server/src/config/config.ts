import type { AddressRange } from "../core/address-range.ts";
import type { HookTerms } from "../core/hook.ts";
import type { Secret } from "../core/secret.ts";

/**
 * The whole configuration, valid and complete: defaults filled in, relative paths made absolute, secrets read,
 * `${VARIABLES}` replaced. Only compose reads it; every stage gets the few values it needs.
 */
export type Config = {
  /** The file it was read from, absolute. */
  file: string;
  dataDirectory: string;
  database: { engine: "sqlite" } | { engine: "postgres"; url: Secret };
  node: { number: number; url: string; hostName: string };
  http: {
    listen: SocketAddress;
    publicUrl: string;
    tls: { certificateFile: string; keyFile: string } | null;
    /** Who may read `/metrics`: from where, or with what. */
    metrics: { allow: AddressRange[]; token: Secret | null };
  };
  /** In the order they are asked; `connectScriptPath`, where given, is the first. */
  hooks: HookConfig[];
  scripts: ScriptsConfig;
  /** So many wrong credentials within the window lock a user out until it has passed. */
  lockOut: { failures: number; addressFailures: number; windowMs: number };
  geoIp: { database: string } | null;
  /** How long what is over is kept. */
  keep: { attemptsDays: number; connectionsDays: number; deliveriesDays: number };
  profiles: ProfileConfig[];
  /** What an administrator should hear of though it keeps nothing from starting; a sentence each, with its place. */
  warnings: string[];
};

export type SocketAddress = { address: string; port: number };

export type HookConfig = HookTerms & HookTarget;

export type HookTarget =
  | {
      kind: "script";
      path: string;
      /** Undefined: the daemon's own account. */
      account: string | undefined;
      /** Also set eduVPN's earliest, unprefixed variable names. */
      legacyVariableNames: boolean;
    }
  | {
      kind: "webhook";
      url: string;
      /** Signs what is sent; undefined: nothing is signed. */
      secret: Secret | undefined;
      /** PEM of the authorities that vouch for the server; undefined: those that Node knows. */
      authorities: string | undefined;
      /** URL of an HTTP proxy. */
      proxy: string | undefined;
      circuitBreaker: { failures: number; pauseMs: number };
    }
  | {
      kind: "log";
      path: string;
      /** Whether a line is on the disk before its event counts as told. */
      sync: boolean;
    }
  | { kind: "module"; path: string }
  | {
      kind: "radiusAccounting";
      /** In the order they are asked. */
      servers: { host: string; port: number; secret: Secret }[];
      /** How often servers hear of a connection that is open. */
      interimMs: number;
    };

export type ScriptsConfig = {
  /** Whom post-auth and module hosts run as when the daemon is root. */
  account: string;
  /** The interpreter, absolute. */
  python: string;
  /** One post-auth call may take so long. */
  deadlineMs: number;
  workers: number;
  /** Calls one worker serves at once. */
  threads: number;
  /** So many questions one login may be asked: by scripts, by RADIUS, for the code of an authenticator app. */
  mostQuestions: number;
};

export type ProfileConfig = {
  id: string;
  displayName: string;
  ranges: { ipv4: AddressRange | null; ipv6: AddressRange | null };
  /** Canonical CIDRs sent through the tunnel. */
  routes: string[];
  dns: string[];
  forwarding: boolean;
  nat: "masquerade" | "none";
  /** Null: connections do not expire. */
  sessionExpiryMs: number | null;
  /** Null for OpenVPN. */
  devices: DeviceTerms | null;
  tunnel: OpenVpnManaged | OpenVpnAttached | WireGuardManaged | WireGuardAttached;
};

export type OpenVpnManaged = {
  protocol: "openvpn";
  mode: "managed";
  listeners: Listener[];
  /** Whether an answer is followed by the message that makes OpenVPN act on it at once. */
  wakeUp: boolean;
  renegotiateSeconds: number;
};

/** A server somebody else runs. */
export type OpenVpnAttached = {
  protocol: "openvpn";
  mode: "attach";
  /** As configured, in canonical form: `unix:/run/office.sock`, `tcp:127.0.0.1:7505`, `listen:unix:/run/office.sock`. */
  name: string;
  /** `listen`: the server connects to us. */
  management: { role: "connect" | "listen"; at: { path: string } | { host: string; port: number } };
  /** Absolute. */
  passwordFile: string | null;
  /** `any`: whatever certificate the server accepted, or none. `ours`: one that was issued here. */
  certificates: "any" | "ours";
  wakeUp: boolean;
};

/** `trigger`: whether a device is connected as long as its client config works, or while it shakes hands. */
type WireGuardInterface = {
  protocol: "wireguard";
  interface: string;
  trigger: "config" | "handshake";
  /** With the handshake trigger a device not heard of for so long is gone. */
  silenceMs: number;
};

export type WireGuardManaged = WireGuardInterface & { mode: "managed"; listenPort: number };

/** An interface somebody else runs. */
export type WireGuardAttached = WireGuardInterface & { mode: "attach" };

/** What holds for the devices of a WireGuard profile. */
export type DeviceTerms = {
  /** How many a user may have; null: as many as they like. */
  most: number | null;
  presharedKeys: boolean;
  /** One that has not been used so long after it was issued is taken back; null: never. */
  unusedMs: number | null;
  /** Where devices connect to, if not the node's host name and the interface's own port. */
  endpoint: { host: string; port: number } | null;
};

export type Listener = {
  /** As configured, in canonical form: `udp/1194`, `udp/192.0.2.1:1194`, `udp/[::]:1194`. */
  name: string;
  transport: "udp" | "tcp";
  /** Null: every address of the machine. */
  address: string | null;
  port: number;
};
