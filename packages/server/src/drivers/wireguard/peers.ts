import { SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { LiveTunnel } from "../../core/vpn-event.ts";
import type { DriverEvents } from "../driver.ts";
import { applyChanges, type Changes } from "./apply-changes.ts";
import type { Device, DeviceState } from "./device.ts";
import { type Difference, difference } from "./difference.ts";
import type { ExpectedPeer, WireGuardDriverOptions, WireGuardInterface, WireGuardPeer } from "./driver-terms.ts";
import { asExpected } from "./expected-peers.ts";
import { type News, takeNews } from "./look.ts";
import { type KnownPeer, PeerTable } from "./peer-table.ts";
import { CountsFile } from "./saved-counts.ts";
import { takeOver } from "./take-over.ts";
import { Turns } from "./turns.ts";

export type PeersOptions = Pick<WireGuardDriverOptions, "expected" | "isOurs" | "log"> & {
  settings: WireGuardInterface;
  events: DriverEvents;
  /** Whether a request for this key is under way. */
  isAsking: (publicKey: string) => boolean;
};

/** One that comes, or (null) leaves. */
type Change = { publicKey: string; coming: WireGuardPeer | null; done: PromiseWithResolvers<void> };

const usualAskAgainMs = 30_000;

/**
 * The peers of one interface: who is let in, who leaves, and what is heard of them. Reads and writes take turns; what
 * is asked for while one is under way goes into the next together.
 */
export class Peers {
  readonly #options: PeersOptions;
  readonly #settings: WireGuardInterface;
  readonly #where: { profileId: string; listener: string };
  readonly #log: Log;
  readonly #table: PeerTable;
  readonly #counts: CountsFile;
  readonly #turns = new Turns();
  /** Told gone, and perhaps still expected until the ledger has written it down: that does not bring them back. */
  readonly #ended = new Set<string>();
  #waiting: Change[] = [];
  #foreign = new Set<string>();
  #device: Device | undefined;
  /** While there is no device: the interface is known not to be there either, so that nothing passes. */
  #absent = false;
  #identity: string | undefined;

  constructor(options: PeersOptions) {
    const { settings, log } = options;
    this.#options = options;
    this.#settings = settings;
    this.#where = { profileId: settings.profileId, listener: settings.interface };
    this.#log = log;
    this.#table = new PeerTable(this.#where);
    this.#counts = new CountsFile(settings.directory, log);
  }

  get numbers(): { ours: number; admitted: number; foreign: number } {
    return { ours: this.#table.size, admitted: this.#table.admitted, foreign: this.#foreign.size };
  }

  /** Whether it is a peer of somebody else's, on an interface of somebody else's. */
  isForeign(publicKey: string): boolean {
    return this.#settings.mode.kind === "attach" && this.#foreign.has(publicKey);
  }

  /**
   * Takes over what is on the interface, puts back who is missing in one write, and reports whose tunnels are up. Then
   * whoever is not expected there leaves.
   */
  async attach(device: Device, identity: string): Promise<void> {
    const { sameDaemon, tunnels } = await this.#turns.take(() => this.#takeOver(device, identity));
    await this.#options.events.attached({ ...this.#where, sameDaemon }, tunnels);
    await this.synchronise();
    void this.#save();
    this.#log.info({ ...this.#where, tunnels: tunnels.length, sameDaemon }, "attached to WireGuard");
  }

  detach(absent: boolean): void {
    this.#device = undefined;
    this.#absent = absent;
  }

  /** `established` was called once this resolves. @throws SallyportError `driver-failed` */
  admit(peer: WireGuardPeer): Promise<void> {
    return this.#change(peer.publicKey, peer);
  }

  /** `gone` was called once this resolves. @throws SallyportError `driver-failed` */
  disconnect(publicKey: string): Promise<void> {
    return this.#change(publicKey, null);
  }

  /** @throws SallyportError `driver-failed` */
  synchronise(): Promise<void> {
    return this.#turns.take(async () => {
      if (this.#device !== undefined) await this.#bringInLine(this.#device);
      // What is expected is put on it when it comes back.
      else if (!this.#absent) throw this.#notUp();
    });
  }

  /** Reads the interface; undefined while there is none. @throws SallyportError `driver-failed` */
  look(withTraffic: boolean): Promise<News | undefined> {
    const { trigger, silenceMs, askAgainMs = usualAskAgainMs } = this.#settings;
    const mayAsk = (key: string) => !this.#options.isAsking(key);
    return this.#turns.take(async () => {
      const state = await this.#device?.read();
      if (state === undefined) return undefined;
      this.#noteForeign(state);
      const byHandshake = trigger === "handshake" ? { silenceMs, askAgainMs, mayAsk } : null;
      const news = await takeNews({ state, table: this.#table, now: Date.now(), byHandshake, withTraffic });
      // On an interface of ours nobody else's belong.
      if (this.#settings.mode.kind === "managed") news.disturbed.push(...this.#foreign);
      return news;
    });
  }

  /** Everybody of ours leaves, with counts. Never fails: whoever cannot be removed is told gone with the last known. */
  end(): Promise<void> {
    return this.#turns.take(async () => {
      const keys = Array.from(this.#table.all(), ({ publicKey }) => publicKey);
      try {
        if (this.#device !== undefined) await this.#apply(this.#device, { removals: keys, closing: [], puts: [] });
      } catch (error) {
        this.#log.warn({ ...this.#where, error }, "peers could not be removed with their last byte counts");
      }
      for (const key of keys) this.#gone(key, true);
      this.detach(true);
      await this.#save();
    });
  }

  /** Everybody stays as they are. */
  leave(): Promise<void> {
    this.detach(false);
    return this.#save();
  }

  async #takeOver(device: Device, identity: string): Promise<{ sameDaemon: boolean; tunnels: LiveTunnel[] }> {
    const { profileId, mode, trigger } = this.#settings;
    const saved = this.#identity === undefined ? await this.#counts.read() : undefined;
    const before = this.#identity ?? saved?.identity;
    const sameDaemon = before === identity;
    this.#identity = identity;
    if (!sameDaemon) for (const known of this.#table.all()) known.counter.restarted();
    const taken = await takeOver({
      device,
      table: this.#table,
      expected: await this.#expected(),
      isOurs: async (key) => mode.kind === "managed" || (await this.#options.isOurs(profileId, key)),
      counting: { making: before === undefined ? "unknown" : sameDaemon ? "same" : "another", trigger, saved },
      isClosed: (key) => this.#gone(key, false),
    });
    this.#foreign = taken.foreign;
    this.#tellBlocked(taken.blocked);
    if (taken.added > 0) this.#log.info({ ...this.#where, peers: taken.added }, "put peers on the interface");
    this.#device = device;
    this.#absent = false;
    return { sameDaemon, tunnels: taken.tunnels };
  }

  async #bringInLine(device: Device): Promise<void> {
    const [state, expected] = [await device.read(), await this.#expected()];
    this.#noteForeign(state);
    const { puts, leaving, blocked } = await difference({ state, expected, isOurs: (key) => this.#isOurs(key) });
    this.#tellBlocked(blocked);
    const closing = puts.filter(({ allowedIps }) => allowedIps.length === 0).map(({ publicKey }) => publicKey);
    await this.#apply(device, { removals: leaving, closing, puts });
    for (const { publicKey, allowedIps } of puts) {
      const known = this.#table.get(publicKey);
      if (known !== undefined && allowedIps.length > 0) this.#begin(known);
    }
    const known = new Set([...state.peers.keys(), ...expected.map(({ publicKey }) => publicKey)]);
    for (const { publicKey } of [...this.#table.all()]) if (!known.has(publicKey)) this.#gone(publicKey, true);
  }

  async #expected(): Promise<readonly ExpectedPeer[]> {
    const { profileId, trigger } = this.#settings;
    const all = await this.#options.expected(profileId);
    const { peers, malformed } = await asExpected({ all, ended: this.#ended, trigger });
    if (malformed.length > 0)
      this.#log.error({ ...this.#where, peers: malformed }, "peers with a malformed key or address were left out");
    return peers;
  }

  async #change(publicKey: string, coming: WireGuardPeer | null): Promise<void> {
    const change: Change = { publicKey, coming, done: Promise.withResolvers() };
    this.#waiting.push(change);
    void this.#turns.take(() => this.#makeChanges());
    await change.done.promise;
  }

  /** All that wait, up to the second change of a peer: the first must have happened before. */
  async #makeChanges(): Promise<void> {
    const seen = new Set<string>();
    const second = this.#waiting.findIndex(({ publicKey }) => seen.size === seen.add(publicKey).size);
    const batch = this.#waiting.splice(0, second < 0 ? this.#waiting.length : second);
    if (batch.length === 0) return;
    const stays = this.#settings.trigger === "handshake";
    const leaving = batch.filter(({ coming }) => coming === null).map(({ publicKey }) => publicKey);
    const unknown = new Set(leaving.filter((key) => !this.#table.get(key)?.admitted));
    const puts = batch.flatMap(({ coming }) => coming ?? []);
    let refused = new Map<string, SallyportError>();
    try {
      // A peer of somebody else's is never removed, whoever asks for it.
      const ours = leaving.filter((key) => this.#isOurs(key));
      const what = { puts, removals: stays ? [] : ours, closing: stays ? ours : [] };
      if (this.#device !== undefined) refused = await this.#apply(this.#device, what);
      else if (this.#absent) {
        refused = new Map(puts.map(({ publicKey }) => [publicKey, this.#notUp()]));
        for (const key of leaving) this.#gone(key, !stays);
      } else throw this.#notUp();
    } catch (error) {
      for (const { done } of batch) done.reject(error);
      return;
    }
    for (const { publicKey, coming, done } of batch) {
      const failure = refused.get(publicKey);
      if (failure === undefined && coming !== null) this.#established(publicKey);
      // It never came onto the interface, or was told gone before: there is nothing to wait for.
      if (unknown.has(publicKey)) this.#options.events.gone(this.#table.tunnel(publicKey), null);
      if (failure === undefined) done.resolve();
      else done.reject(failure);
    }
    if (stays) void this.#save();
  }

  /** Returns why peers cannot be added. */
  async #apply(device: Device, what: Changes): Promise<Map<string, SallyportError>> {
    const { mode, trigger } = this.#settings;
    const table = this.#table;
    const taken = await applyChanges({
      ...{ device, what, table },
      mustRead: mode.kind === "attach" || trigger === "handshake",
      wasRead: (state) => this.#noteForeign(state),
      isForeign: (key) => this.isForeign(key),
      gone: (key, forget) => this.#gone(key, forget),
    });
    const why = `${this.#where.listener} has a peer with this key or address already`;
    return new Map([...taken].map(([key, holder]) => [key, new SallyportError("driver-failed", `${why}: ${holder}`)]));
  }

  #isOurs(publicKey: string): boolean {
    return this.#settings.mode.kind === "managed" || this.#table.has(publicKey);
  }

  #begin(known: KnownPeer): void {
    if (known.admitted) return;
    known.admitted = true;
    known.counter.begin();
    known.toldCounts = { bytesIn: 0, bytesOut: 0 };
    known.lastSignMs = Date.now();
  }

  #established(publicKey: string): void {
    const known = this.#table.get(publicKey);
    if (known !== undefined) this.#begin(known);
    this.#ended.delete(publicKey);
    this.#options.events.established(this.#table.tunnel(publicKey));
  }

  #gone(publicKey: string, forget: boolean): void {
    const known = this.#table.get(publicKey);
    if (known?.admitted) {
      this.#table.put({ ...known, allowedIps: [] });
      known.admitted = false;
      known.asked = { handshakeMs: known.lastHandshakeMs ?? 0, atMs: Date.now() };
      this.#ended.add(publicKey);
      this.#options.events.gone(this.#table.tunnel(publicKey), known.counter.total);
    }
    if (forget) this.#table.remove(publicKey);
  }

  #noteForeign({ peers }: DeviceState): void {
    this.#foreign = new Set();
    if (peers.size > 0) for (const key of peers.keys()) if (!this.#table.has(key)) this.#foreign.add(key);
  }

  #tellBlocked(blocked: Difference["blocked"]): void {
    for (const { publicKey, range, holder } of blocked) {
      const fields = { ...this.#where, publicKey, range, holder };
      this.#log.error(fields, "a peer was left out: its address belongs to another peer of the interface");
    }
  }

  #save(): Promise<void> {
    return this.#counts.save(() => ({ identity: this.#identity ?? "", bases: this.#table.bases() }));
  }

  #notUp(): SallyportError {
    return new SallyportError(
      "driver-failed",
      `the WireGuard interface ${this.#where.listener} is not up at the moment`,
    );
  }
}
