import { parseAddress, parseRange } from "../../core/address-range.ts";
import { SallyportError } from "../../core/errors.ts";
import type { Secret } from "../../core/secret.ts";
import { checkKey } from "./keys.ts";

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

const highestPort = 65_535;
const peersAPiece = 250;

/** Texts found canonical before: the same ten thousand are checked on each of their ways, and parsing takes its time. */
const canonical = new Set<string>();
const mostRemembered = 100_000;

/** @throws SallyportError `invalid-input` where it is no CIDR range */
export function canonicalRange(text: string): string {
  if (canonical.has(text)) return text;
  const range = parseRange(text);
  if (range === undefined)
    throw new SallyportError("invalid-input", `${JSON.stringify(text.slice(0, 60))} is no address range`);
  if (canonical.size >= mostRemembered) canonical.clear();
  canonical.add(range.cidr);
  return range.cidr;
}

/**
 * Checks a change whole, so that nothing is written of one that has something malformed in it.
 * @throws SallyportError `invalid-input`
 */
export async function checkChange({ privateKey, listenPort, peers = [] }: DeviceChange): Promise<void> {
  if (privateKey !== undefined) checkKey(privateKey.reveal());
  if (listenPort !== undefined && !(Number.isInteger(listenPort) && listenPort >= 0 && listenPort <= highestPort))
    throw new SallyportError("invalid-input", `${listenPort} is no port`);
  await inPieces(peers, (peer) => {
    checkKey(peer.publicKey);
    if (peer.kind !== "put") return;
    if (peer.presharedKey !== null) checkKey(peer.presharedKey.reveal());
    for (const range of peer.allowedIps) canonicalRange(range);
  });
}

/** `192.0.2.7:51820` or `[2001:db8::7]:51820`; undefined for anything else, a scoped address too. */
export function canonicalEndpoint(text: string): string | undefined {
  const [, six, four, port = ""] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(text) ?? [];
  const address = parseAddress(six ?? four ?? "");
  if (address === undefined || Number(port) < 1 || Number(port) > 65_535) return undefined;
  return `${address.includes(":") ? `[${address}]` : address}:${Number(port)}`;
}

/** Works through a long list in pieces, between which everything else that waits has its turn. */
export async function inPieces<Thing>(
  things: Iterable<Thing>,
  work: (thing: Thing) => void | Promise<void>,
): Promise<void> {
  let handled = 0;
  for (const thing of things) {
    const worked = work(thing);
    if (worked instanceof Promise) await worked;
    handled += 1;
    if (handled % peersAPiece === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
