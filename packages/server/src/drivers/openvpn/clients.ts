import { clientReasonOf, SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Secret } from "../../core/secret.ts";
import type { LiveTunnel, Tunnel } from "../../core/vpn-event.ts";
import type { Admission, DriverEvents, Question, Refusal } from "../driver.ts";
import { noAbilities } from "./client-environment.ts";
import { ClientEvents } from "./client-events.ts";
import {
  admitAgain,
  admitClient,
  type Command,
  handWindowSeconds,
  pendingAuth,
  questionAsRefusal,
  questionAsText,
} from "./commands.ts";
import type { Reply } from "./management.ts";
import type { Message } from "./messages.ts";
import type { ListedClient } from "./status-list.ts";
import { nobodysName, Telling } from "./telling.ts";
import { TrafficBatch } from "./traffic-batch.ts";
import { type KnownTunnel, TunnelTable } from "./tunnel-table.ts";

export type ClientsOptions = {
  profileId: string;
  listener: string;
  /** What every client is told beside its addresses. */
  pushed: readonly string[];
  wakeUp: boolean;
  plainIpv4: boolean;
  /** Whether the server takes `client-pending-auth` with a key and a time (2.6); where it does not, nothing is asked that way. */
  pendingAuth?: () => boolean;
  /** The server may call its clients by their user names, or by no name. */
  namesMayBeUsers?: boolean;
  events: DriverEvents;
  /** One write; a reply for each command, or for the first so many. */
  send: (commands: readonly Command[], terms?: { settleAfter?: number }) => Promise<readonly Reply[]>;
  log: Log;
};

/** Without further word a client gives up after its hand-window. */
const longestSilentWaitMs = (handWindowSeconds - 5) * 1_000;

/**
 * The clients of one server: turns what OpenVPN says into the port's events and the port's answers into commands.
 * Nothing is said to a client that is not known, and whoever is up without having been admitted here is ended.
 */
export class Clients {
  readonly #options: ClientsOptions;
  readonly #where: { profileId: string; listener: string };
  readonly #table: TunnelTable;
  readonly #telling: Telling;
  readonly #traffic: TrafficBatch;
  readonly #clientEvents: ClientEvents;
  /** Between a new connection to a server and its list: numbers known from before may be other clients' by now. */
  #attaching = false;

  constructor(options: ClientsOptions) {
    this.#options = options;
    const where = { profileId: options.profileId, listener: options.listener };
    this.#where = where;
    this.#table = new TunnelTable(where);
    this.#telling = new Telling({ ...options, table: this.#table, where });
    this.#traffic = new TrafficBatch((counts) => options.events.traffic(counts));
    const { table, telling, traffic } = { table: this.#table, telling: this.#telling, traffic: this.#traffic };
    this.#clientEvents = new ClientEvents({ ...options, table, telling, traffic, where });
  }

  handle(message: Message): void {
    const { log } = this.#options;
    if (message.kind === "client") this.#clientEvents.handle(message.event);
    else if (message.kind === "bytecount") this.#clientEvents.count(message.cid, message);
    else if (message.kind === "state" && message.name === "RECONNECTING") {
      log.warn({ ...this.#where, why: message.detail }, "openvpn restarts itself; its clients come back");
      this.everybodyGone();
    } else if (message.kind === "fatal") log.error({ ...this.#where, text: message.text }, "openvpn ends");
    else if (message.kind === "ignored" && message.why !== "not needed") {
      log.debug({ ...this.#where, why: message.why, text: message.text }, "something OpenVPN said was ignored");
    }
  }

  async admit(tunnel: Tunnel, admission: Admission): Promise<void> {
    const known = this.#present(tunnel);
    if (admission.kind === "reauth") {
      const { reauth } = known;
      if (reauth === undefined) throw ended(tunnel);
      known.reauth = undefined;
      return taken(await this.#options.send([admitAgain({ cid: known.cid, kid: reauth.kid })]));
    }
    const key = this.#asking(tunnel);
    const commands = [admitClient(key, admission, this.#options.pushed), ...this.#telling.wake(key)];
    known.state = "admitted";
    // The client can be up before the wake-up is replied to.
    taken(await this.#options.send(commands, { settleAfter: 1 }));
  }

  async refuse(tunnel: Tunnel, refusal: Refusal): Promise<void> {
    const known = this.#present(tunnel);
    if (refusal.kind === "reauth") {
      const mayReturn = refusal.retryAfterSeconds !== undefined;
      if (known.state === "up" || known.state === "admitted") await this.#telling.end(known, { ...refusal, mayReturn });
      return;
    }
    const key = this.#asking(tunnel);
    this.#table.remove(known);
    await this.#telling.deny(key, known.abilities, refusal);
  }

  async challenge(tunnel: Tunnel, question: Question): Promise<void> {
    const key = this.#asking(tunnel);
    const known = this.#present(tunnel);
    const { textQuestions, webQuestions } = known.abilities;
    const canBeAsked = question.url === undefined ? textQuestions : webQuestions;
    if (canBeAsked && this.#options.pendingAuth?.() !== false) {
      const told = questionAsText(key, question);
      known.state = "questioned";
      known.stateId = question.stateId;
      taken(await this.#telling.tell(told));
    } else if (question.url !== undefined) {
      throw new SallyportError("challenge-unsupported", "the client or its server cannot have a browser opened");
    } else {
      const told = questionAsRefusal(key, question);
      this.#table.remove(known);
      await this.#telling.tell(told, this.#telling.wake(key));
    }
  }

  answer(stateId: string, response: Secret): boolean {
    return this.#clientEvents.answer(stateId, response);
  }

  async announceWait(tunnel: Tunnel, waitMs: number): Promise<void> {
    const known = this.#attaching ? undefined : this.#table.byKey(tunnel.key);
    if (known?.state !== "asked" || known.kid === undefined || this.#options.pendingAuth?.() === false) return;
    if (waitMs <= longestSilentWaitMs || !known.abilities.authPendingKeyword) return;
    // It replaces the time the client would wait anyway, also by a shorter one.
    const seconds = Math.max(waitMs / 1_000, handWindowSeconds);
    await this.#options.send([pendingAuth({ cid: known.cid, kid: known.kid }, seconds)]);
  }

  async disconnect(tunnel: Tunnel, options: { mayReturn: boolean; clientReason: string | null }): Promise<void> {
    const known = this.#present(tunnel);
    const { mayReturn } = options;
    const end = {
      reason: "the tunnel was ended",
      clientReason: options.clientReason ?? clientReasonOf("connection-ended"),
      ...(mayReturn && { retryAfterSeconds: 1 }),
    };
    if (known.state === "ending") return;
    if (known.state === "admitted" || known.state === "up" || known.kid === undefined) {
      return this.#telling.end(known, { ...end, mayReturn });
    }
    known.state = "ending";
    await this.#telling.deny({ cid: known.cid, kid: known.kid }, known.abilities, end);
  }

  /** The server or all its clients ended: whoever was known is gone, and nobody said with what counts. */
  everybodyGone(): void {
    this.#traffic.flush();
    for (const { tunnel } of this.#table.beginEpoch()) this.#options.events.gone(tunnel, null);
  }

  /** A server is being attached to: nothing is said to clients known from before until `adopt`. */
  beginAttach(): void {
    this.#attaching = true;
  }

  /**
   * Takes over what a server just attached to has. Renegotiations that were being asked when the connection to this same
   * server was lost are asked again by `askAgain`, to be called when the tunnels were reported.
   */
  adopt(listed: readonly ListedClient[], sameServer: boolean): { tunnels: LiveTunnel[]; askAgain: () => void } {
    this.#attaching = false;
    const before = sameServer ? this.#table.all() : [];
    this.#table.beginEpoch();
    const again: KnownTunnel[] = [];
    const tunnels = listed.map((client): LiveTunnel => {
      const { cid, commonName, realAddress, ipv4, ipv6, bytesIn, bytesOut } = client;
      const ipv4Source = /^[\d.]+:\d+$/.test(realAddress) ? realAddress : undefined;
      // Numbers begin again when a server restarts itself, which it may have done while nobody was attached.
      const isOld = (one: KnownTunnel) =>
        one.cid === cid && one.commonName === commonName && one.ipv4Source === ipv4Source;
      const old = before.find(isOld);
      const tunnel = this.#table.name(cid);
      const known: KnownTunnel = {
        tunnel,
        cid,
        kid: undefined,
        state: "up",
        request: undefined,
        stateId: undefined,
        commonName,
        ipv4Source,
        abilities: old?.abilities ?? noAbilities,
        reauth: old?.reauth && { kid: old.reauth.kid, request: { ...old.reauth.request, tunnel } },
        counts: { bytesIn, bytesOut },
      };
      this.#table.add(known);
      if (known.reauth !== undefined) again.push(known);
      const unnamed = this.#options.namesMayBeUsers && (commonName === nobodysName || commonName === client.userName);
      return { tunnel, commonName: unnamed ? undefined : commonName, ipv4, ipv6, bytesIn, bytesOut };
    });
    const askAgain = () => {
      for (const { state, reauth } of again) {
        if (state === "up" && reauth !== undefined) this.#options.events.asked(reauth.request);
      }
    };
    return { tunnels, askAgain };
  }

  /** The tunnels that OpenVPN was told yes to and that have not ended. */
  live(): Tunnel[] {
    return this.#table
      .all()
      .flatMap(({ state, tunnel }) => (state === "asked" || state === "questioned" ? [] : tunnel));
  }

  /** The key of a client that waits for its answer, where it is known. */
  keyOf(cid: number): number | undefined {
    return this.#table.byCid(cid)?.kid;
  }

  /** Tells a client that waits for an answer that nobody remembers its question. */
  async sendBack(cid: number, kid: number | undefined): Promise<void> {
    const denial = { reason: "Sallyport attached anew", clientReason: clientReasonOf("server-restarting") };
    const abilities = { ...noAbilities, temporaryRefusal: true };
    // OpenVPN's list does not name the key: a client's first is 1, and further ones follow when it starts over.
    for (const one of kid === undefined ? [1, 2, 3] : [kid]) {
      if (await this.#telling.deny({ cid, kid: one }, abilities, { ...denial, retryAfterSeconds: 2 })) return;
    }
  }

  /** The server is being ended: newcomers are told to come back. */
  close(): void {
    this.#clientEvents.closing = true;
  }

  /** No more events and no more commands. */
  stop(): void {
    this.#telling.stop();
    this.#traffic.clear();
  }

  #present(tunnel: Tunnel): KnownTunnel {
    if (this.#attaching) throw new SallyportError("driver-failed", `${tunnel.listener} is just being attached to`);
    const known = this.#table.byKey(tunnel.key);
    if (known === undefined) throw ended(tunnel);
    return known;
  }

  /** The key of a connect that waits for its answer. */
  #asking(tunnel: Tunnel): { cid: number; kid: number } {
    const { state, cid, kid } = this.#present(tunnel);
    if (state !== "asked" || kid === undefined) throw ended(tunnel);
    return { cid, kid };
  }
}

function ended(tunnel: Tunnel): SallyportError {
  return new SallyportError("connection-ended", `the tunnel ${tunnel.key} of ${tunnel.listener} is gone`);
}

function taken([reply]: readonly Reply[]): void {
  if (reply?.ok === true) return;
  throw new SallyportError("driver-failed", `OpenVPN did not take the answer: ${reply?.text ?? "it did not reply"}`);
}
