import { parseAddress } from "../../core/address-range.ts";
import { SallyportError } from "../../core/errors.ts";
import type { Secret } from "../../core/secret.ts";
import type { LiveTunnel, Tunnel } from "../../core/vpn-event.ts";
import type { Admission } from "../driver.ts";
import { ByteCounter, type ByteCounts } from "./byte-counter.ts";
import { canonicalRange, type PeerState } from "./device.ts";
import type { WireGuardPeer } from "./driver-terms.ts";

/** A peer of ours, as it should be on the interface and as it was last seen there. */
export type KnownPeer = {
  publicKey: string;
  presharedKey: Secret | null;
  /** Canonical. */
  allowedIps: readonly string[];
  /** It was let in, or found let in, and `gone` was not called since. */
  admitted: boolean;
  counter: ByteCounter;
  toldCounts: ByteCounts;
  endpoint: string | null;
  lastHandshakeMs: number | null;
  /** When something was last heard of it. */
  lastSignMs: number;
  /** The handshake that its present or last request was made for, and when that was. */
  asked: { handshakeMs: number; atMs: number };
};

/** The peers of one interface that are ours. Those of others are counted and never kept. */
export class PeerTable {
  readonly #where: { profileId: string; listener: string };
  readonly #byKey = new Map<string, KnownPeer>();
  readonly #holders = new Map<string, string>();

  constructor(where: { profileId: string; listener: string }) {
    this.#where = where;
  }

  get(publicKey: string): KnownPeer | undefined {
    return this.#byKey.get(publicKey);
  }

  has(publicKey: string): boolean {
    return this.#byKey.has(publicKey);
  }

  remove(publicKey: string): void {
    this.#hold(publicKey, []);
    this.#byKey.delete(publicKey);
  }

  /** Whose an allowed IP is. */
  holderOf(range: string): string | undefined {
    return this.#holders.get(range);
  }

  all(): IterableIterator<KnownPeer> {
    return this.#byKey.values();
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** The peer is, or is about to be, on the interface like this. What was known of it stays. */
  put(peer: WireGuardPeer): KnownPeer {
    const { publicKey, presharedKey } = peer;
    const allowedIps = peer.allowedIps.map(canonicalRange);
    this.#hold(publicKey, allowedIps);
    const known = this.#byKey.get(publicKey);
    if (known !== undefined) return Object.assign(known, { presharedKey, allowedIps });
    const fresh: KnownPeer = {
      publicKey,
      presharedKey,
      allowedIps,
      admitted: false,
      counter: new ByteCounter(),
      toldCounts: { bytesIn: 0, bytesOut: 0 },
      endpoint: null,
      lastHandshakeMs: null,
      lastSignMs: Date.now(),
      asked: { handshakeMs: 0, atMs: 0 },
    };
    this.#byKey.set(publicKey, fresh);
    return fresh;
  }

  #hold(publicKey: string, ranges: readonly string[]): void {
    for (const range of this.#byKey.get(publicKey)?.allowedIps ?? []) {
      if (this.#holders.get(range) === publicKey) this.#holders.delete(range);
    }
    for (const range of ranges) this.#holders.set(range, publicKey);
  }

  get admitted(): number {
    let count = 0;
    for (const known of this.#byKey.values()) if (known.admitted) count += 1;
    return count;
  }

  /** What has to be remembered to count on after our own end. */
  bases(): Map<string, ByteCounts> {
    const bases = new Map<string, ByteCounts>();
    for (const { publicKey, counter } of this.#byKey.values()) if (counter.base) bases.set(publicKey, counter.base);
    return bases;
  }

  tunnel(publicKey: string): Tunnel {
    return { ...this.#where, key: publicKey };
  }

  live(known: KnownPeer): LiveTunnel {
    const address = (suffix: string) => known.allowedIps.find((range) => range.endsWith(suffix))?.split("/")[0];
    const [ipv4, ipv6] = [address("/32"), address("/128")];
    return { tunnel: this.tunnel(known.publicKey), commonName: known.publicKey, ipv4, ipv6, ...known.counter.total };
  }
}

/** Exactly the addresses of an admission. @throws SallyportError `driver-failed` where it has none */
export function allowedIpsOf({ ipv4, ipv6 }: Admission): string[] {
  const ranges = [ipv4 && hostRange(ipv4.address, 32), ipv6 && hostRange(ipv6.address, 128)].filter(
    (one) => one !== null,
  );
  if (ranges.length === 0) throw new SallyportError("driver-failed", "a WireGuard peer needs an address to be let in");
  return ranges;
}

function hostRange(text: string, bits: 32 | 128): string {
  const address = parseAddress(text);
  if (address === undefined || address.includes(":") !== (bits === 128))
    throw new SallyportError(
      "invalid-input",
      `${JSON.stringify(text.slice(0, 60))} is no IPv${bits === 32 ? 4 : 6} address`,
    );
  return `${address}/${bits}`;
}

/** Whether a peer is on the interface as it should be. Allowed IPs have no order. */
export function isRight(should: WireGuardPeer, there: PeerState): boolean {
  if (should.presharedKey?.reveal() !== there.presharedKey?.reveal()) return false;
  if (should.allowedIps.length !== there.allowedIps.length) return false;
  const [only, ...more] = should.allowedIps;
  if (more.length === 0) return only === undefined || there.allowedIps[0] === only;
  const present = new Set(there.allowedIps);
  return should.allowedIps.every((range) => present.has(range));
}
