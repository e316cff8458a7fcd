import { parseAddress, parseRange } from "../../core/address-range.ts";
import { SallyportError } from "../../core/errors.ts";
import type { Secret } from "../../core/secret.ts";

/** One WireGuard interface, read and written as a whole: wireguard-go through its socket, the kernel's through `wg`. */
export interface Device {
  /** @throws SallyportError `driver-failed` */
  read(): Promise<DeviceState>;
  /**
   * One write, in the order given; it takes effect as a whole or, where it fails, up to the peer that was not taken.
   * @throws SallyportError `driver-failed`; `invalid-input` before anything was written, for a malformed key or address
   */
  write(change: DeviceChange): Promise<void>;
}

export type DeviceState = {
  privateKey: Secret | null;
  listenPort: number;
  /** By public key. */
  peers: Map<string, PeerState>;
};

/** Bytes from (`in`) and to (`out`) the peer since it was added. Allowed IPs are canonical CIDRs. */
export type PeerState = {
  publicKey: string;
  presharedKey: Secret | null;
  endpoint: string | null;
  /** Milliseconds since 1970; null: never. */
  lastHandshakeMs: number | null;
  bytesIn: number;
  bytesOut: number;
  allowedIps: string[];
};

export type DeviceChange = {
  privateKey?: Secret;
  listenPort?: number;
  peers?: readonly PeerChange[];
};

/**
 * `put`: the peer is there with exactly this; counters and session of one that was there already stay. With an endpoint, a
 * handshake is begun with it at once: a client whose session was lost here would notice only after 15 s. `clear`: nothing
 * passes any more, everything else stays; one that is not there is not made. `remove`: counters and session are lost.
 */
export type PeerChange =
  | {
      kind: "put";
      publicKey: string;
      presharedKey: Secret | null;
      allowedIps: readonly string[];
      endpoint?: string | null;
    }
  | { kind: "clear"; publicKey: string }
  | { kind: "remove"; publicKey: string };

/** @throws SallyportError `invalid-input` where it is no CIDR range */
export function canonicalRange(text: string): string {
  const range = parseRange(text);
  if (range === undefined)
    throw new SallyportError("invalid-input", `${JSON.stringify(text.slice(0, 60))} is no address range`);
  return range.cidr;
}

/** `192.0.2.7:51820` or `[2001:db8::7]:51820`; undefined for anything else, a scoped address too. */
export function canonicalEndpoint(text: string): string | undefined {
  const [, six, four, port = ""] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(text) ?? [];
  const address = parseAddress(six ?? four ?? "");
  if (address === undefined || Number(port) < 1 || Number(port) > 65_535) return undefined;
  return `${address.includes(":") ? `[${address}]` : address}:${Number(port)}`;
}

/** Lets everything else that waits have its turn; long lists are worked through in pieces. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
