import { type AddressRange, parseRange } from "../../../src/core/address-range.ts";
import type { AttemptRecord } from "../../../src/core/attempt.ts";
import type { Connection } from "../../../src/core/connection.ts";
import { newId } from "../../../src/core/id.ts";
import type { Reservation, Reserved, Store } from "../../../src/store/store.ts";

/** Opens an empty store of the engine under test; `cleanup` closes it and removes what it kept. */
export type OpenStore = () => Promise<{ store: Store; cleanup: () => Promise<void> }>;

/** Runs a test's work with an empty store. */
export async function withStore(open: OpenStore, work: (store: Store) => Promise<void>): Promise<void> {
  const { store, cleanup } = await open();
  try {
    await work(store);
  } finally {
    await cleanup();
  }
}

/** Times of a test: `at(0)` is its beginning, and `at(n)` n seconds later. */
export function at(seconds: number): string {
  return new Date(Date.UTC(2026, 0, 1) + seconds * 1_000).toISOString();
}

export function range(cidr: string): AddressRange {
  const parsed = parseRange(cidr);
  if (parsed === undefined) throw new Error(`no range: ${cidr}`);
  return parsed;
}

export function ranges(...cidrs: string[]): { ranges: AddressRange[]; excluded: AddressRange[] } {
  return { ranges: cidrs.map(range), excluded: [] };
}

export function aConnection(given: Partial<Connection> = {}): Reservation["connection"] {
  const { ipv4: _ipv4, ipv6: _ipv6, ...rest } = given;
  const id = given.id ?? newId();
  return {
    id,
    userId: "alice",
    profileId: "office",
    nodeNumber: 0,
    listener: "udp/1194",
    protocol: "openvpn",
    connectionId: `device ${id}`,
    tunnelKey: `tunnel ${id}`,
    attemptId: newId(),
    originatingIp: "192.0.2.7",
    state: "reserved",
    properties: { conn_group: "eng" },
    group: { name: "eng", properties: { group_declare: "true" }, subnets: ["10.42.1.0/24"] },
    connectEventId: newId(),
    disconnectEventId: newId(),
    reservedAt: at(0),
    admittedAt: null,
    establishedAt: null,
    expiresAt: null,
    endedAt: null,
    endReason: null,
    endDetail: null,
    bytesIn: 0,
    bytesOut: 0,
    ...rest,
  };
}

export function aReservation(
  given: Partial<Connection> = {},
  wishes: Partial<Omit<Reservation, "connection">> = {},
): Reservation {
  return {
    connection: aConnection(given),
    ipv4: ranges("10.42.0.0/24"),
    ipv6: null,
    mostConnections: null,
    subscribers: [],
    ...wishes,
  };
}

/** The connection of a reservation that must have been granted. */
export function granted(reserved: Reserved): Connection {
  if ("refused" in reserved) throw new Error(`refused: ${reserved.refused}, held by ${reserved.heldBy}`);
  return reserved.connection;
}

/** A connection in the ledger that is admitted, with the observers' deliveries waiting. */
export async function admitted(
  store: Store,
  given: Partial<Connection> = {},
  { observers = [] as string[], wishes = {} as Partial<Omit<Reservation, "connection">> } = {},
): Promise<Connection> {
  const connection = granted(await store.ledger.reserve(aReservation(given, wishes)));
  await store.ledger.admit(connection.id, { at: at(1), save: {}, observers });
  return connection;
}

/** An end by the client whose tunnel is gone, with what a test wants otherwise. */
export function anEnd(
  given: Partial<Parameters<Store["ledger"]["end"]>[1]> = {},
): Parameters<Store["ledger"]["end"]>[1] {
  return { at: at(10), reason: "client", detail: null, counts: null, release: true, subscribers: [], ...given };
}

export function anAttempt(given: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    id: newId(),
    at: at(0),
    kind: "connect",
    profileId: "office",
    protocol: "openvpn",
    userId: "alice",
    clientAddress: "192.0.2.7",
    certificateSerial: "1a2b",
    commonName: "device",
    authMethod: "local",
    outcome: "deny",
    code: "wrong-credentials",
    reason: "wrong password",
    clientReason: "Wrong user name or password.",
    properties: { conn_group: "eng" },
    trace: [
      {
        step: "password",
        outcome: "denied",
        detail: "wrong password",
        durationMs: 15,
        printed: null,
        traceback: null,
        changes: { conn_group: [null, "eng"] },
      },
    ],
    durationMs: 16.5,
    scriptInput: { authcred: { username: "alice" } },
    ...given,
  };
}
