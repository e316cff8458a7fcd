import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRange } from "../../src/core/address-range.ts";
import type { Connection, EndReason } from "../../src/core/connection.ts";
import { newId } from "../../src/core/id.ts";
import type { AddressWish, Reservation, Store } from "../../src/store/store.ts";
import { openStoreHere } from "../store/open-here.ts";

const range = parseRange("10.9.0.0/16");

/** A real store in a directory of its own, with the steps of a connection's life in one call each. */
export type TestLedger = Awaited<ReturnType<typeof openLedger>>;

export async function openLedger() {
  const directory = await mkdtemp(join(tmpdir(), "hooks-test-"));
  const store = await openStoreHere(join(directory, "test.sqlite"));
  return {
    directory,
    store,
    reserve: (changes: Partial<Connection> = {}) => reserve(store, changes),
    /** Reserved and admitted, with a connect queued for each observer. */
    async admitted(observers: readonly string[], changes: Partial<Connection> = {}): Promise<Connection> {
      const connection = await reserve(store, changes);
      await store.ledger.admit(connection.id, { at: new Date().toISOString(), save: {}, observers });
      return connection;
    },
    end: (id: string, subscribers: readonly string[], reason: EndReason = "client") =>
      store.ledger.end(id, {
        at: new Date().toISOString(),
        reason,
        detail: null,
        counts: { bytesIn: 1_000, bytesOut: 2_000 },
        release: true,
        subscribers,
      }),
    deliveries: (sessionId: string) => store.deliveries.list({ sessionId, limit: 100 }),
    async [Symbol.asyncDispose]() {
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function reserve(store: Store, changes: Partial<Connection> = {}): Promise<Connection> {
  const reserved = await store.ledger.reserve(reservationFor(changes));
  if ("refused" in reserved) throw new Error(reserved.refused);
  return reserved.connection;
}

export function reservationFor(changes: Partial<Connection> = {}): Reservation {
  const { ipv4, ipv6: _, ...given } = changes;
  const userId = given.userId ?? `user-${newId()}`;
  const wish: AddressWish = ipv4 ? { fixed: ipv4 } : { ranges: range ? [range] : [], excluded: [] };
  return {
    connection: {
      id: newId(),
      userId,
      profileId: "office",
      nodeNumber: 0,
      listener: "udp/1194",
      protocol: "openvpn",
      connectionId: `device of ${userId}`,
      tunnelKey: newId(),
      attemptId: newId(),
      originatingIp: "198.51.100.20",
      state: "reserved",
      properties: {},
      group: null,
      connectEventId: newId(),
      disconnectEventId: newId(),
      reservedAt: new Date().toISOString(),
      admittedAt: null,
      establishedAt: null,
      expiresAt: null,
      endedAt: null,
      endReason: null,
      endDetail: null,
      bytesIn: 0,
      bytesOut: 0,
      ...given,
    },
    ipv4: wish,
    ipv6: null,
    mostConnections: null,
    subscribers: [],
  };
}
