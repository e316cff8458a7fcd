import { clientReasonOf } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { Secret } from "../../core/secret.ts";
import type { DriverEvents } from "../driver.ts";
import { readAbilities, readAnswer, readCommonName, readCounts, readRequest } from "./client-environment.ts";
import type { ClientEvent } from "./messages.ts";
import type { Telling } from "./telling.ts";
import type { TrafficBatch } from "./traffic-batch.ts";
import type { ByteCounts, KnownTunnel, TunnelTable } from "./tunnel-table.ts";

const noCounts = { bytesIn: 0, bytesOut: 0 };

export type ClientEventsOptions = {
  table: TunnelTable;
  telling: Telling;
  traffic: TrafficBatch;
  events: DriverEvents;
  where: { profileId: string; listener: string };
  log: Log;
};

/** What OpenVPN says of its clients, held against what is known of them and passed on as the port's events. */
export class ClientEvents {
  readonly #options: ClientEventsOptions;
  /** Newcomers are told to come back. */
  closing = false;

  constructor(options: ClientEventsOptions) {
    this.#options = options;
  }

  handle(event: ClientEvent): void {
    const { cid, kid } = event;
    if (event.type === "CONNECT" && kid !== undefined) this.#connect(cid, kid, event);
    else if (event.type === "REAUTH" && kid !== undefined) this.#reauthenticate(cid, kid, event);
    else if (event.type === "CR_RESPONSE") this.#answered(event);
    else if (event.type === "ESTABLISHED") this.#established(cid, event);
    else if (event.type === "DISCONNECT") {
      const known = this.#options.table.byCid(cid);
      // Of somebody who was refused there is nothing more to say.
      if (known !== undefined) this.#gone(known, readCounts(event) ?? known.counts ?? noCounts);
    }
  }

  #connect(cid: number, kid: number, event: ClientEvent): void {
    // A client that starts over on the same port keeps its number: its first question is void.
    const before = this.#options.table.byCid(cid);
    if (before !== undefined) this.#gone(before, before.counts ?? noCounts);
    const tunnel = this.#options.table.name(cid, kid);
    const abilities = readAbilities(event);
    const read = readRequest("connect", tunnel, event);
    if ("malformed" in read || this.closing) {
      const reason = "malformed" in read ? read.malformed : "the server is being ended";
      const clientReason = clientReasonOf("malformed" in read ? "credentials-malformed" : "server-restarting");
      const retry = "malformed" in read ? {} : { retryAfterSeconds: 5 };
      this.#options.log.warn({ ...this.#options.where, cid, reason }, "a client was refused before anybody was asked");
      this.#options.telling.inBackground(
        this.#options.telling.deny({ cid, kid }, abilities, { reason, clientReason, ...retry }),
      );
      return;
    }
    const { clientAddress, clientPort } = read.request;
    this.#options.table.add({
      tunnel,
      cid,
      kid,
      state: "asked",
      request: read.request,
      stateId: undefined,
      commonName: readCommonName(event),
      ipv4Source:
        clientAddress.includes(":") || clientPort === undefined ? undefined : `${clientAddress}:${clientPort}`,
      abilities,
      reauth: undefined,
      counts: undefined,
    });
    this.#options.events.asked(read.request);
  }

  #reauthenticate(cid: number, kid: number, event: ClientEvent): void {
    const known = this.#options.table.byCid(cid);
    if (known === undefined || (known.state !== "up" && known.state !== "admitted")) {
      this.#options.log.warn(
        { ...this.#options.where, cid },
        "a tunnel that nobody admitted asked to stay and is ended",
      );
      this.#options.telling.kill(cid);
      return;
    }
    known.abilities = readAbilities(event);
    const read = readRequest("reauth", known.tunnel, event);
    if ("malformed" in read) {
      const clientReason = clientReasonOf("credentials-malformed");
      this.#options.telling.inBackground(
        this.#options.telling.end(known, { reason: read.malformed, clientReason, mayReturn: false }),
      );
    } else if (known.reauth !== undefined) {
      // The answer to the first question would be taken for the second one's.
      const end = { reason: "it asked again before it was answered", clientReason: clientReasonOf("too-busy") };
      this.#options.telling.inBackground(this.#options.telling.end(known, { ...end, mayReturn: true }));
    } else {
      known.reauth = { kid, request: read.request };
      this.#options.events.asked(read.request);
    }
  }

  /** The answer to a question on its own tunnel goes the way of one that comes as a password. */
  #answered(event: ClientEvent): void {
    const known = this.#options.table.byCid(event.cid);
    const answer = readAnswer(event);
    if (known?.state !== "questioned" || known.kid === undefined || known.kid !== event.kid) return;
    if (answer === undefined) {
      const denial = { reason: "the answer cannot be read", clientReason: clientReasonOf("credentials-malformed") };
      known.state = "ending";
      const key = { cid: known.cid, kid: known.kid };
      this.#options.telling.inBackground(this.#options.telling.deny(key, known.abilities, denial));
      return;
    }
    this.#askAgain(known, new Secret(answer));
  }

  /** The answer that came in a browser; false where no tunnel waits for it. */
  answer(stateId: string, response: Secret): boolean {
    const known = this.#options.table.all().find((one) => one.state === "questioned" && one.stateId === stateId);
    return known !== undefined && this.#askAgain(known, response);
  }

  #askAgain(known: KnownTunnel, answer: Secret): boolean {
    if (known.request === undefined) return false;
    known.state = "asked";
    const password = new Secret(`CRV1::${known.stateId}::${answer.reveal()}`);
    this.#options.events.asked({ ...known.request, password });
    return true;
  }

  #established(cid: number, event: ClientEvent): void {
    const known = this.#options.table.byCid(cid);
    if (known?.state === "admitted") {
      // With username-as-common-name it is another from now on.
      known.commonName = readCommonName(event) || known.commonName;
      known.state = "up";
      this.#options.events.established(known.tunnel);
    } else if (known?.state !== "up" && known?.state !== "ending") {
      this.#options.log.error({ ...this.#options.where, cid }, "a client is up that nobody admitted; it is ended");
      this.#options.telling.kill(cid);
    }
  }

  #gone(known: KnownTunnel, counts: ByteCounts): void {
    this.#options.table.remove(known);
    this.#options.traffic.forget(known.tunnel);
    this.#options.events.gone(known.tunnel, counts);
  }

  count(cid: number, { bytesIn, bytesOut }: ByteCounts): void {
    const known = this.#options.table.byCid(cid);
    if (known === undefined || known.state === "asked") return;
    known.counts = { bytesIn, bytesOut };
    this.#options.traffic.add(known.tunnel, known.counts);
  }
}
