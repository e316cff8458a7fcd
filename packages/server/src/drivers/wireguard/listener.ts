import { setTimeout as pause } from "node:timers/promises";
import { SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Tunnel } from "../../core/vpn-event.ts";
import { boundLog } from "../daemon-log.ts";
import type { Admission, DriverEvents, Question, Refusal } from "../driver.ts";
import { bringUp, findForeign, takeDown, type UpInterface } from "./bring-up.ts";
import type {
  InterfaceStatus,
  WireGuardAnswer,
  WireGuardDriverOptions,
  WireGuardInterface,
  WireGuardRequest,
} from "./driver-terms.ts";
import { identityOf } from "./interface-state.ts";
import { isKey, publicKeyOf } from "./keys.ts";
import { allowedIpsOf } from "./peer-table.ts";
import { Peers } from "./peers.ts";
import { Requests } from "./requests.ts";
import { lastWordsOf, logOf } from "./wireguard-go.ts";

const usualPollMs = 30_000;
/** Handshakes come without notice: their interface is read so often, but never more than a twentieth of the time. */
const handshakeLookMs = 1_000;
const leastRest = 20;
/** How often it is looked whether the interface is still there. */
const pulseMs = 250;
const backoffMs = { first: 250, longest: { managed: 30_000, attach: 3_000 }, healthyAfter: 30_000 } as const;
const mendAgainMs = 60_000;
const boundLogEveryMs = 60_000;
/** Everything is brought in line with the ledger also without anybody's asking. */
const synchroniseEveryMs = 5 * 60_000;
const tunnelsATelling = 1_000;

/** One interface: kept up, attached and looked at until it is stopped. */
export class Listener {
  readonly #options: WireGuardDriverOptions;
  readonly #settings: WireGuardInterface;
  readonly #where: { profileId: string; listener: string };
  readonly #log: Log;
  readonly #stopped = new AbortController();
  readonly #requests = new Requests();
  #stopHow: "end" | "leave" | undefined;
  #running: Promise<void> | undefined;
  #events: DriverEvents | undefined;
  #peers: Peers | undefined;
  #up: UpInterface | undefined;
  #isAttached = false;
  #keys: { publicKey: string; listenPort: number } | undefined;
  #failure: string | undefined;
  #disturbed = { peers: "", againAt: 0 };

  constructor(settings: WireGuardInterface, options: WireGuardDriverOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#where = { profileId: settings.profileId, listener: settings.interface };
    this.#log = options.log;
  }

  get profileId(): string {
    return this.#where.profileId;
  }

  /** Resolves when the interface was attached, or when it has become clear that this takes longer. */
  start(events: DriverEvents): Promise<void> {
    const { expected, isOurs, log } = this.#options;
    const isAsking = (key: string) => this.#requests.has(key);
    const peers = new Peers({ settings: this.#settings, expected, isOurs, isAsking, events, log });
    this.#events = events;
    this.#peers = peers;
    return new Promise((settled) => {
      this.#running = this.#run(peers, settled);
    });
  }

  async stop(how: "end" | "leave"): Promise<void> {
    this.#stopHow ??= how;
    this.#stopped.abort();
    this.#requests.failAll();
    await this.#running;
    const [peers, up] = [this.#peers, this.#up];
    if (peers === undefined) return;
    if (how === "leave") {
      await this.#look(peers, true).catch(() => undefined);
      await peers.leave();
    } else {
      await peers.end();
      if (up !== undefined && this.#settings.mode.kind === "managed") await takeDown(this.#settings.interface, up);
    }
    this.#up = undefined;
    this.#isAttached = false;
  }

  async request(request: WireGuardRequest): Promise<WireGuardAnswer> {
    const { peer, ...asked } = request;
    if (!isKey(peer.publicKey) || (peer.presharedKey !== null && !isKey(peer.presharedKey.reveal())))
      throw new SallyportError("invalid-input", "a WireGuard key is 32 bytes in base64, and this is none");
    if (asked.tunnel.key !== peer.publicKey)
      throw new SallyportError("invalid-input", "a WireGuard tunnel is named by its peer's public key");
    const [events, peers] = [this.#events, this.#peers];
    if (!this.#isAttached || events === undefined || peers === undefined) {
      const why = this.#failure === undefined ? "" : `: ${this.#failure}`;
      throw new SallyportError("driver-failed", `the WireGuard interface ${this.#where.listener} is not up${why}`);
    }
    if (peers.isForeign(peer.publicKey))
      throw new SallyportError("conflict", "a peer of somebody else has this key: make a new key pair");
    return await this.#requests.put(request, () => events.asked({ ...asked, kind: "connect", protocol: "wireguard" }));
  }

  async admit(tunnel: Tunnel, admission: Admission): Promise<void> {
    const { peer } = this.#requests.get(tunnel.key);
    try {
      if (this.#peers === undefined) throw new SallyportError("driver-failed", "the WireGuard driver was not started");
      await this.#peers.admit({ ...peer, allowedIps: allowedIpsOf(admission) });
    } catch (error) {
      this.#requests.fail(tunnel.key, error);
      throw error;
    }
    this.#requests.answer(tunnel.key, { outcome: "admitted", admission });
  }

  async refuse(tunnel: Tunnel, refusal: Refusal): Promise<void> {
    this.#requests.answer(tunnel.key, { outcome: "refused", refusal });
  }

  async challenge(tunnel: Tunnel, question: Question): Promise<void> {
    this.#requests.answer(tunnel.key, { outcome: "challenged", question });
  }

  async disconnect(tunnel: Tunnel): Promise<void> {
    await this.#peers?.disconnect(tunnel.key);
  }

  async synchronise(): Promise<void> {
    await this.#peers?.synchronise();
  }

  status(): InterfaceStatus {
    const { profileId, interface: name, mode } = this.#settings;
    return {
      profileId,
      interface: name,
      ours: mode.kind === "managed",
      state: this.#isAttached ? "up" : "down",
      engine: this.#up?.engine,
      failure: this.#isAttached ? undefined : this.#failure,
      publicKey: mode.kind === "managed" ? publicKeyOf(mode.privateKey) : this.#keys?.publicKey,
      listenPort: mode.kind === "managed" ? mode.listenPort : this.#keys?.listenPort,
      peers: this.#peers?.numbers ?? { ours: 0, admitted: 0, foreign: 0 },
    };
  }

  async #run(peers: Peers, settled: () => void): Promise<void> {
    const { interface: name, mode } = this.#settings;
    for (let failures = 0; this.#stopHow === undefined; ) {
      const startedAt = Date.now();
      let identity: string | undefined;
      try {
        this.#up = await this.#find();
        identity = await identityOf(name);
        if (identity === undefined) throw new SallyportError("driver-failed", `the interface ${name} went away`);
        await this.#noteKeys(this.#up);
        await peers.attach(this.#up.device, identity);
        this.#isAttached = true;
        this.#failure = undefined;
        settled();
        await this.#watch(peers, identity);
      } catch (error) {
        const failure = error instanceof Error ? error.message : String(error);
        // Said once, and not at every try.
        if (failure !== this.#failure)
          this.#log.error({ ...this.#where, error }, "the WireGuard interface is not usable");
        this.#failure = failure;
      }
      settled();
      if (this.#stopHow !== undefined) break;
      this.#isAttached = false;
      peers.detach((await identityOf(name)) === undefined);
      failures = Date.now() - startedAt > backoffMs.healthyAfter ? 0 : failures + 1;
      await this.#pause(Math.min(backoffMs.first * 2 ** failures, backoffMs.longest[mode.kind]));
    }
  }

  async #find(): Promise<UpInterface> {
    const { interface: name, directory, mode } = this.#settings;
    if (mode.kind === "managed") return await bringUp({ name, directory, managed: mode, log: this.#log });
    return await findForeign(name, directory);
  }

  async #noteKeys({ device }: UpInterface): Promise<void> {
    if (this.#settings.mode.kind === "managed") return;
    const { privateKey, listenPort } = await device.read();
    this.#keys = privateKey === null ? undefined : { publicKey: publicKeyOf(privateKey), listenPort };
  }

  /** Returns when the interface is not the one any more that was attached. */
  async #watch(peers: Peers, identity: string): Promise<void> {
    const { interface: name, directory, mode, trigger, pollIntervalMs = usualPollMs } = this.#settings;
    const lookEveryMs = trigger === "handshake" ? Math.min(handshakeLookMs, pollIntervalMs) : pollIntervalMs;
    let [nextLook, nextTraffic, nextBound] = [Date.now() + lookEveryMs, Date.now() + pollIntervalMs, 0];
    let nextInLine = Date.now() + synchroniseEveryMs;
    while (this.#stopHow === undefined) {
      await this.#pause(Math.max(0, Math.min(pulseMs, nextLook - Date.now())));
      if (this.#stopHow !== undefined) return;
      if ((await identityOf(name)) !== identity) {
        const why = mode.kind === "managed" ? await lastWordsOf(directory) : "the interface went away or was made anew";
        this.#log.error({ ...this.#where }, why);
        return;
      }
      const now = Date.now();
      if (now >= nextBound && mode.kind === "managed") {
        nextBound = now + boundLogEveryMs;
        await boundLog(logOf(directory)).catch((error: unknown) => this.#log.warn({ error }, "a log could not be cut"));
      }
      if (now >= nextInLine) {
        nextInLine = now + synchroniseEveryMs;
        await peers.synchronise();
      }
      if (now < nextLook) continue;
      await this.#look(peers, now >= nextTraffic);
      if (now >= nextTraffic) nextTraffic = now + pollIntervalMs;
      nextLook = Date.now() + Math.max(lookEveryMs, (Date.now() - now) * leastRest);
    }
  }

  /** Tells what is new, and mends what somebody else changed. */
  async #look(peers: Peers, withTraffic: boolean): Promise<void> {
    const news = await peers.look(withTraffic);
    if (news === undefined || this.#events === undefined) return;
    for (const counts of piecesOf(news.traffic)) this.#events.traffic(counts);
    for (const seen of piecesOf(news.seen)) this.#options.observed(seen);
    for (const handshake of news.knocking) this.#options.shookHands(handshake);
    await Promise.all(news.silent.map(({ key }) => peers.disconnect(key)));
    const disturbed = news.disturbed.toSorted().join();
    // What cannot be set right (an address that is somebody else's now) is tried again later, and not at every look.
    if (disturbed === "" || (disturbed === this.#disturbed.peers && Date.now() < this.#disturbed.againAt)) return;
    this.#disturbed = { peers: disturbed, againAt: Date.now() + mendAgainMs };
    if (this.#stopHow !== undefined) return;
    const fields = { ...this.#where, count: news.disturbed.length, peers: news.disturbed.slice(0, 5) };
    this.#log.warn(fields, "somebody else changed peers on the interface; they are set right");
    await peers.synchronise();
  }

  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
  }
}

function piecesOf<Thing>(things: readonly Thing[]): Thing[][] {
  const pieces: Thing[][] = [];
  for (let from = 0; from < things.length; from += tunnelsATelling)
    pieces.push(things.slice(from, from + tunnelsATelling));
  return pieces;
}
