import type { AddressRange } from "../core/address-range.ts";
import type { Connection, EndReason } from "../core/connection.ts";
import type { Allow } from "../core/decision.ts";
import { type ErrorCode, SallyportError } from "../core/errors.ts";
import { followed, type Log } from "../core/log.ts";
import type { AccessRequest, Traffic, Tunnel } from "../core/vpn-event.ts";
import type { Driver } from "../drivers/driver.ts";
import type { Ledger, Reserved } from "../store/store.ts";
import type { Passage } from "./passage.ts";
import { persist } from "./persist.ts";
import { type ConnectionProfile, tunnelOf, tunnelText } from "./profile.ts";
import { Releases } from "./releases.ts";
import { refusalText, reservationOf } from "./reservation.ts";

export type ConnectionsOptions = {
  ledger: Ledger;
  driver: Pick<Driver, "disconnect">;
  nodeNumber: number;
  profile: (id: string) => ConnectionProfile | undefined;
  /** Subnets of all groups, which the profiles' ranges leave to their members. */
  groupSubnets: () => Promise<AddressRange[]>;
  /** Closes what was opened to a client. */
  passage: Pick<Passage, "close">;
  /** Hooks whose connect is queued at admission, and hooks that want to hear of the end. */
  hooks: { observers: () => readonly string[]; subscribers: () => readonly string[] };
  /** Deliveries were queued. */
  queued: () => void;
  log: Log;
};

type Counts = { bytesIn: number; bytesOut: number } | null;
type End = { reason: EndReason; detail: string | null };

/** How long a fixed address held by the device's own older tunnel is waited for, and a daemon's word on an ended one. */
const releaseWaitMs = 8_000;

/** The ledger's verbs. It alone says when a row begins and ends; what it keeps in memory can be rebuilt from the ledger. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #live = new Map<string, string>();
  readonly #ending = new Map<string, End>();
  readonly #releases = new Releases();
  #endingAll: End | null = null;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Reserves the addresses and writes the row. Whatever this device had before ends as `replaced`. */
  async open(
    request: AccessRequest,
    decision: Allow,
  ): Promise<{ connection: Connection } | { refused: ErrorCode; reason: string }> {
    const { tunnel } = request;
    const { hooks, nodeNumber } = this.#options;
    const profile = this.#options.profile(tunnel.profileId);
    if (profile === undefined) return { refused: "internal", reason: `there is no profile ${tunnel.profileId}` };
    const groupSubnets = await this.#options.groupSubnets();
    const subscribers = hooks.subscribers();
    const reservation = reservationOf({ request, decision, profile, groupSubnets, nodeNumber, subscribers });
    for (let last = false; ; last = true) {
      const reserved = await this.#options.ledger.reserve(reservation);
      await this.#endReplaced(reserved.replaced);
      if ("connection" in reserved) {
        this.#live.set(tunnelText(tunnel), reserved.connection.id);
        return { connection: reserved.connection };
      }
      if (last || !(await this.#releasedSoon(reserved, decision.userId))) {
        return { refused: reserved.refused, reason: refusalText(reserved) };
      }
    }
  }

  /** The row becomes admitted. False where it ended while the hooks were asked. */
  async admit(connection: Connection, decision: Allow): Promise<boolean> {
    const observers = this.#options.hooks.observers();
    const at = new Date().toISOString();
    const admitted = await this.#options.ledger.admit(connection.id, { at, save: decision.save, observers });
    if (admitted && observers.length > 0) this.#options.queued();
    return admitted;
  }

  /** Undoes a reservation that was not, or could not be, admitted: nothing of it stays. */
  async withdraw(connection: Connection, end: End): Promise<void> {
    await this.#end(connection.id, end, null, true);
    this.#forget(tunnelOf(connection), connection.id);
  }

  /**
   * The daemon did not take our yes. Where its tunnel is gone the addresses are free at once; otherwise nobody knows
   * whether the client is in: the tunnel is ended, and the addresses stay held until the daemon says that it is gone.
   */
  async notAdmitted(connection: Connection, error: unknown): Promise<void> {
    this.#options.log.warn({ ...followed(connection), error }, "the VPN daemon did not take the admission");
    const gone = error instanceof SallyportError && error.code === "connection-ended";
    const end: End = { reason: gone ? "client" : "node-lost", detail: "the VPN daemon did not take the admission" };
    await this.#end(connection.id, end, null, gone);
    if (gone) this.#forget(tunnelOf(connection), connection.id);
    else await this.#disconnect(connection, end, true);
  }

  async established(tunnel: Tunnel): Promise<void> {
    const id = await this.#idOf(tunnel);
    if (id !== undefined)
      await persist(this.#options.log, "established", () =>
        this.#options.ledger.established(id, new Date().toISOString()),
      );
  }

  async traffic(counts: Traffic[]): Promise<void> {
    const known = counts.flatMap(({ tunnel, bytesIn, bytesOut }) => {
      const id = this.#live.get(tunnelText(tunnel));
      return id === undefined ? [] : [{ id, bytesIn, bytesOut }];
    });
    if (known.length > 0) await this.#options.ledger.traffic(known);
  }

  /** The tunnel is really gone: the row ends if it had not, and the addresses are free again. */
  async gone(tunnel: Tunnel, counts: Counts): Promise<void> {
    const id = await this.#idOf(tunnel);
    if (id === undefined) return;
    const otherwise: End =
      counts === null
        ? { reason: "node-lost", detail: "the VPN daemon died" }
        : (this.#endingAll ?? { reason: "client", detail: null });
    await this.#end(id, this.#ending.get(id) ?? otherwise, counts, true, "end");
    this.#forget(tunnel, id);
  }

  /** The daemon is about to be told to end this tunnel, and why; its own word that it is gone follows. */
  async endsAs(tunnel: Tunnel, end: End): Promise<void> {
    const id = await this.#idOf(tunnel);
    if (id !== undefined) this.#ending.set(id, end);
  }

  /** Ends a connection from our side. The daemon's own word, with the last counts, is waited for within a bound. */
  async kill(id: string, end: End, mayReturn = false): Promise<boolean> {
    return await this.#kill(id, end, (connection) => this.#disconnect(connection, end, mayReturn));
  }

  /** One that asked to stay may not. Where the daemon cannot be told now, its tunnel ends at the next attach. */
  async dismiss(tunnel: Tunnel, end: End, tell: () => Promise<void>): Promise<void> {
    const id = await this.#idOf(tunnel);
    if (id === undefined || !(await this.#kill(id, end, tell))) await tell();
  }

  async #kill(id: string, end: End, tell: (connection: Connection) => Promise<void>): Promise<boolean> {
    const connection = await this.#options.ledger.get(id);
    if (connection === undefined || connection.state === "ended") return false;
    if (connection.state === "reserved") {
      await this.withdraw(connection, end);
      return true;
    }
    this.#ending.set(id, end);
    const released = this.#releases.wait(id, releaseWaitMs);
    await tell(connection);
    if (!(await released)) await this.#end(id, end, null, false);
    return true;
  }

  /** Ends whoever is past their time. Whoever may come back is asked to sign in again; `prop_expire_halt` is for good. */
  async expire(now: Date = new Date()): Promise<number> {
    const { ledger, nodeNumber } = this.#options;
    const expired = await ledger.expired({ nodeNumber, now: now.toISOString() });
    const ended = await Promise.all(
      expired.map(({ id, expiresAt, properties }) =>
        this.kill(
          id,
          { reason: "expired", detail: `it lasted until ${expiresAt}` },
          properties.prop_expire_halt !== "true",
        ),
      ),
    );
    return ended.filter(Boolean).length;
  }

  /** Ends whoever was let in by what was taken back since, where whoever took it back could not, or died before. */
  async endWithdrawn(): Promise<number> {
    const { ledger, nodeNumber } = this.#options;
    const because = {
      "config-revoked": "the client config was revoked",
      "account-disabled": "the account was disabled",
    } as const;
    const withdrawn = await ledger.withdrawn({ nodeNumber });
    const ended = await Promise.all(
      withdrawn.map((one) => this.kill(one.id, { reason: "disabled", detail: because[one.because] })),
    );
    return ended.filter(Boolean).length;
  }

  /** Ends all that a filter finds: a user's when the account is disabled, a client config's when it is revoked. */
  async killAll(which: { userId?: string; connectionId?: string }, end: End): Promise<number> {
    const unfinished = await this.#options.ledger.unfinished({ nodeNumber: this.#options.nodeNumber });
    const chosen = unfinished.filter(
      (connection) =>
        connection.state !== "ended" &&
        (which.userId === undefined || connection.userId === which.userId) &&
        (which.connectionId === undefined || connection.connectionId === which.connectionId),
    );
    const ended = await Promise.all(chosen.map((connection) => this.kill(connection.id, end)));
    return ended.filter(Boolean).length;
  }

  /** From now on a tunnel that goes without another reason went because of this. */
  endingAll(end: End): void {
    this.#endingAll = end;
  }

  /** A tunnel found alive after an attach belongs to this row; its key is new. */
  async adopt(connection: Connection, tunnel: Tunnel, counts: { bytesIn: number; bytesOut: number }): Promise<void> {
    this.#live.set(tunnelText(tunnel), connection.id);
    const { ledger } = this.#options;
    await ledger.rename(connection.id, tunnel.key);
    if (connection.state === "admitted") await ledger.established(connection.id, new Date().toISOString());
    if (connection.state === "ended")
      await this.#disconnect({ ...connection, tunnelKey: tunnel.key }, lingering, false);
    else await ledger.traffic([{ id: connection.id, ...counts }]);
  }

  /** A row whose tunnel was not there after an attach: it ends, its addresses are free. */
  async lost(connection: Connection, end: End): Promise<void> {
    await this.#end(connection.id, this.#ending.get(connection.id) ?? end, null, true);
    this.#forget(tunnelOf(connection), connection.id);
  }

  async #endReplaced(replaced: readonly Connection[]): Promise<void> {
    if (replaced.length > 0) this.#options.queued();
    for (const old of replaced) this.#noteEnd(old, "replaced");
    await Promise.all(replaced.map((old) => this.#disconnect(old, { reason: "replaced", detail: null }, false)));
  }

  async #disconnect(connection: Connection, end: End, mayReturn: boolean): Promise<void> {
    const clientReason = `This connection was ended (${end.reason}).`;
    await this.#options.driver.disconnect(tunnelOf(connection), { mayReturn, clientReason }).catch((error: unknown) => {
      this.#options.log.warn(
        { ...followed(connection), error },
        "the VPN daemon could not be told to end a connection",
      );
    });
  }

  /** A fixed address that this same user's older tunnel still holds is worth a short wait: that tunnel was just ended. */
  async #releasedSoon(reserved: Extract<Reserved, { refused: ErrorCode }>, userId: string): Promise<boolean> {
    if (reserved.heldBy === null || reserved.refused !== "address-in-use") return false;
    const holder = await this.#options.ledger.get(reserved.heldBy);
    if (holder === undefined) return true;
    if (holder.userId !== userId || holder.state !== "ended") return false;
    const released = this.#releases.wait(holder.id, releaseWaitMs);
    await this.#disconnect(holder, { reason: "replaced", detail: null }, false);
    return released;
  }

  async #end(id: string, end: End, counts: Counts, release: boolean, patience?: "end"): Promise<void> {
    const at = new Date().toISOString();
    const subscribers = this.#options.hooks.subscribers();
    // Before the address can be somebody else's.
    if (release) await this.#options.passage.close(id);
    const { ledger, log } = this.#options;
    const ending = { at, ...end, counts, release, subscribers };
    const ended = await persist(log, "end", () => ledger.end(id, ending), patience);
    if (ended && subscribers.length > 0) this.#options.queued();
    else if (!ended && release) await persist(log, "release", () => ledger.release(id), patience);
    if (ended) void this.#noteEndOf(id, end);
  }

  /** The row, as it is after its end, has the last counts; the end itself waits for nobody who reads them. */
  async #noteEndOf(id: string, { reason }: End): Promise<void> {
    const row = await this.#options.ledger.get(id).catch(() => undefined);
    if (row !== undefined) this.#noteEnd(row, reason);
    else this.#options.log.info({ connection: id, reason }, "ended");
  }

  #noteEnd(row: Connection, reason: EndReason): void {
    const { disconnectEventId: event, endDetail: detail, bytesIn, bytesOut } = row;
    this.#options.log.info({ ...followed(row), event, reason, detail, bytesIn, bytesOut }, "ended");
  }

  #forget(tunnel: Tunnel, id: string): void {
    // A WireGuard tunnel is named by its key: a newer connection of the same device may have the name by now.
    if (this.#live.get(tunnelText(tunnel)) === id) this.#live.delete(tunnelText(tunnel));
    this.#ending.delete(id);
    this.#releases.announce(id);
  }

  async #idOf(tunnel: Tunnel): Promise<string | undefined> {
    return this.#live.get(tunnelText(tunnel)) ?? (await this.#options.ledger.byTunnel(tunnel))?.id;
  }
}

const lingering: End = { reason: "replaced", detail: null };
