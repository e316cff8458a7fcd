import { randomBytes } from "node:crypto";
import type { AccessRequest, Tunnel } from "../../core/vpn-event.ts";
import type { ClientAbilities } from "./client-environment.ts";

export type ByteCounts = { bytesIn: number; bytesOut: number };

/** One client of a server, from its first question to its end. */
export type KnownTunnel = {
  tunnel: Tunnel;
  cid: number;
  /** The key being asked for, or last asked for; undefined for tunnels found at an attach. */
  kid: number | undefined;
  /**
   * `asked`: waits for an answer. `questioned`: so does our question to it. `admitted`: OpenVPN was told yes. `up`.
   * `ending`: was told to end, `gone` follows.
   */
  state: "asked" | "questioned" | "admitted" | "up" | "ending";
  /** What it asked for when it came; undefined for tunnels found at an attach. */
  request: AccessRequest | undefined;
  /** The state that an answer on this tunnel belongs to. */
  stateId: string | undefined;
  /** As OpenVPN knows it. */
  commonName: string;
  /** Where it comes from: `192.0.2.7:40123`; undefined where that is IPv6 or not known. */
  ipv4Source: string | undefined;
  abilities: ClientAbilities;
  /** A renegotiation that waits for its answer. */
  reauth: { kid: number; request: AccessRequest } | undefined;
  counts: ByteCounts | undefined;
};

/**
 * The tunnels of one server. OpenVPN numbers its clients from 0 again after each restart, so keys carry an epoch, and a
 * number that asks again from the start gets another key.
 */
export class TunnelTable {
  readonly #where: { profileId: string; listener: string };
  readonly #byCid = new Map<number, KnownTunnel>();
  readonly #byKey = new Map<string, KnownTunnel>();
  #used = new Set<number>();
  #epoch = newEpoch();

  constructor(where: { profileId: string; listener: string }) {
    this.#where = { profileId: where.profileId, listener: where.listener };
  }

  /** A name for a client that asks to come in, never given before. */
  name(cid: number, kid?: number): Tunnel {
    const again = this.#used.has(cid);
    this.#used.add(cid);
    return { ...this.#where, key: again ? `${this.#epoch}:${cid}.${kid ?? 0}` : `${this.#epoch}:${cid}` };
  }

  add(known: KnownTunnel): void {
    this.#byCid.set(known.cid, known);
    this.#byKey.set(known.tunnel.key, known);
  }

  byCid(cid: number): KnownTunnel | undefined {
    return this.#byCid.get(cid);
  }

  byKey(key: string): KnownTunnel | undefined {
    return this.#byKey.get(key);
  }

  all(): KnownTunnel[] {
    return [...this.#byCid.values()];
  }

  remove(known: KnownTunnel): void {
    if (this.#byCid.get(known.cid) === known) this.#byCid.delete(known.cid);
    this.#byKey.delete(known.tunnel.key);
  }

  /** Forgets everything; numbers mean other clients from now on. */
  beginEpoch(): KnownTunnel[] {
    const known = this.all();
    this.#byCid.clear();
    this.#byKey.clear();
    this.#used = new Set();
    this.#epoch = newEpoch();
    return known;
  }
}

/** Random, so that it is also new after our own restart. */
function newEpoch(): string {
  return randomBytes(6).toString("hex");
}
