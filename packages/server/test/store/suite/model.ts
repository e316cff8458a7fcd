import type { Delivery, DeliveryState, HookEvent } from "../../../src/core/hook.ts";
import { at } from "./rows.ts";

/** The ledger and its deliveries as simply as they can be said: arrays, and time in whole seconds. */

export type ModelConnection = {
  id: string;
  device: string;
  state: "reserved" | "admitted" | "ended";
  reason: string | null;
  holds: string | null;
};

export type ModelDelivery = {
  session: string;
  hook: string;
  event: HookEvent;
  veto: boolean;
  state: DeliveryState;
  attempts: number;
  nextAt: number;
  leaseUntil: number;
};

export class Model {
  now = 0;
  readonly connections: ModelConnection[] = [];
  readonly deliveries: ModelDelivery[] = [];

  connection(id: string): ModelConnection | undefined {
    return this.connections.find((connection) => connection.id === id);
  }

  holder(address: string): string | undefined {
    return this.connections.find(({ holds }) => holds === address)?.id;
  }

  /** Whoever this device had before; they are ended. */
  replace(device: string, subscribers: readonly string[]): string[] {
    const older = this.connections.filter((each) => each.device === device && each.state !== "ended");
    for (const { id } of older) this.end(id, "replaced", subscribers, false);
    return older.map(({ id }) => id);
  }

  admit(id: string, observers: readonly string[]): boolean {
    const connection = this.connection(id);
    if (connection?.state !== "reserved") return false;
    connection.state = "admitted";
    for (const hook of observers) {
      if (!this.find({ session: id, hook, event: "connect" })) this.#queue(id, hook, "connect");
    }
    return true;
  }

  end(id: string, reason: string, subscribers: readonly string[], release: boolean): boolean {
    const connection = this.connection(id);
    if (connection === undefined) return false;
    if (release) connection.holds = null;
    if (connection.state === "ended") return false;
    Object.assign(connection, { state: "ended", reason });
    const told = this.deliveries.filter(({ session, event }) => session === id && event === "connect");
    for (const { hook } of told) if (subscribers.includes(hook)) this.#queue(id, hook, "disconnect");
    return true;
  }

  tell(id: string, hook: string, leaseUntil: number): "told" | "ended" | "twice" {
    if ((this.connection(id)?.state ?? "ended") === "ended") return "ended";
    if (this.find({ session: id, hook, event: "connect" })) return "twice";
    this.#queue(id, hook, "connect", { veto: true, state: "running", attempts: 1, leaseUntil });
    return "told";
  }

  /** What is due, oldest first; the tie of equal times is the store's to break. */
  due(busy: readonly string[]): ModelDelivery[] {
    for (const each of this.deliveries) {
      const stale = each.state === "running" && each.leaseUntil <= this.now;
      if (stale && each.veto) each.state = "failed";
    }
    return this.deliveries
      .filter((each) => this.#isDue(each) && !busy.includes(each.hook))
      .sort((a, b) => a.nextAt - b.nextAt);
  }

  nextDueAt(): string | undefined {
    const waiting = this.deliveries.filter((each) => each.state === "waiting" && !this.#isBlocked(each));
    return waiting.length === 0 ? undefined : at(Math.min(...waiting.map(({ nextAt }) => nextAt)));
  }

  abandonRunning(): number {
    const running = this.deliveries.filter(({ state }) => state === "running");
    for (const each of running) {
      if (each.veto) each.state = "failed";
      else Object.assign(each, { state: "waiting", nextAt: this.now });
    }
    return running.length;
  }

  find(key: Pick<ModelDelivery, "session" | "hook" | "event">): ModelDelivery | undefined {
    return this.deliveries.find(
      ({ session, hook, event }) => session === key.session && hook === key.hook && event === key.event,
    );
  }

  of({ sessionId, hook, event }: Delivery): ModelDelivery {
    const found = this.find({ session: sessionId, hook, event });
    if (found === undefined) throw new Error(`the store made up a delivery: ${sessionId} ${hook} ${event}`);
    return found;
  }

  #isDue(each: ModelDelivery): boolean {
    if (this.#isBlocked(each)) return false;
    if (each.state === "running") return each.leaseUntil <= this.now;
    return each.state === "waiting" && each.nextAt <= this.now;
  }

  #isBlocked({ session, hook, event }: ModelDelivery): boolean {
    const connect = this.find({ session, hook, event: "connect" });
    return event === "disconnect" && (connect?.state === "waiting" || connect?.state === "running");
  }

  #queue(session: string, hook: string, event: HookEvent, given: Partial<ModelDelivery> = {}): void {
    this.deliveries.push({
      session,
      hook,
      event,
      veto: false,
      state: "waiting",
      attempts: 0,
      nextAt: this.now,
      leaseUntil: 0,
      ...given,
    });
  }
}
