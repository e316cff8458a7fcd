import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { Connections } from "../../src/connections/connections.ts";
import { createPassage, type Passage } from "../../src/connections/passage.ts";
import { parseRange } from "../../src/core/address-range.ts";
import type { Connection } from "../../src/core/connection.ts";
import type { Allow } from "../../src/core/decision.ts";
import type { AccessRequest, Tunnel } from "../../src/core/vpn-event.ts";
import type { Store } from "../../src/store/store.ts";
import { openStoreHere } from "../store/open-here.ts";

export const silent = { debug() {}, info() {}, warn() {}, error() {} };
export const listener = { profileId: "office", listener: "udp/1194" };

let directory: string;
export let store: Store;
export let connections: Connections;
export let passage: Passage;
export let disconnected: Tunnel[];
/** Whom the machine lets through, on which device. */
export const through = new Map<string, string>();
/** What the daemon does when it is told to end a tunnel. */
let onDisconnect: (tunnel: Tunnel) => unknown;
/** What that began: the store stays open until it is over. */
let begun: unknown[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sallyport-connections-"));
  store = await openStoreHere(join(directory, "sallyport.db"));
  disconnected = [];
  through.clear();
  begun = [];
  onDisconnect = (tunnel) => connections.gone(tunnel, { bytesIn: 7, bytesOut: 9 });
  connections = restarted();
});

afterEach(async () => {
  await Promise.all(begun);
  await store.close();
  await rm(directory, { recursive: true });
});

const profile = (id: string) => ({
  id,
  ranges: { ipv4: parseRange("10.42.0.0/29") ?? null, ipv6: null },
  routes: [],
  dns: [],
  sessionExpiryMs: null,
});

function restarted(): Connections {
  passage = createPassage({
    ledger: store.ledger,
    network: {
      admit: async ({ connectionId, device }) => void through.set(connectionId, device),
      release: async (connectionId) => void through.delete(connectionId),
      restore: async (_device, clients) => {
        through.clear();
        for (const { connectionId, device } of clients) through.set(connectionId, device);
      },
    },
    nodeNumber: 0,
    profile,
    device: () => "tun-test",
  });
  return new Connections({
    ledger: store.ledger,
    driver: {
      async disconnect(tunnel) {
        disconnected.push(tunnel);
        begun.push(onDisconnect(tunnel));
      },
    },
    nodeNumber: 0,
    profile,
    groupSubnets: async () => [],
    passage,
    hooks: { observers: () => ["observer"], subscribers: () => ["veto", "observer"] },
    queued: () => {},
    log: silent,
  });
}

/** A daemon of ours that knows of the older one's doings only what the ledger says. */
export function restart(): void {
  connections = restarted();
}

/** Another answer of the daemon to being told to end a tunnel. */
export function whenToldToEnd(act: (tunnel: Tunnel) => unknown): void {
  onDisconnect = act;
}

export const request = (key: string, commonName = `cn-${key}`): AccessRequest => ({
  kind: "connect",
  tunnel: { ...listener, key },
  protocol: "openvpn",
  username: "alice",
  password: undefined,
  certificate: { commonName, serial: "1" },
  clientAddress: "192.0.2.7",
  clientPort: 5000,
  hardwareAddress: undefined,
  clientInfo: {},
  certificateFields: {},
});

export const decision = (properties = {}): Allow => ({
  outcome: "allow",
  attemptId: "attempt",
  userId: "alice",
  authMethod: "local",
  reason: "",
  properties,
  group: null,
  save: {},
  session: null,
});

export async function opened(key: string, { commonName = `cn-${key}`, properties = {} } = {}): Promise<Connection> {
  const result = await connections.open(request(key, commonName), decision(properties));
  if ("refused" in result) throw new Error(result.reason);
  return result.connection;
}

export async function admitted(key: string, options = {}): Promise<Connection> {
  const connection = await opened(key, options);
  await passage.open(connection);
  expect(await connections.admit(connection, decision())).toBe(true);
  await connections.established({ ...listener, key });
  return connection;
}

export const row = async (id: string) => {
  const found = await store.ledger.get(id);
  if (!found) throw new Error("no such row");
  return found;
};

export const disconnects = async (id: string) =>
  await store.deliveries.list({ sessionId: id, event: "disconnect", limit: 9 });
