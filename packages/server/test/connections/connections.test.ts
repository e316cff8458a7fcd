import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Connections } from "../../src/connections/connections.ts";
import { createPassage, type Passage } from "../../src/connections/passage.ts";
import { reconcile } from "../../src/connections/reconcile.ts";
import { parseRange } from "../../src/core/address-range.ts";
import type { Connection } from "../../src/core/connection.ts";
import type { Allow } from "../../src/core/decision.ts";
import { SallyportError } from "../../src/core/errors.ts";
import type { AccessRequest, Tunnel } from "../../src/core/vpn-event.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const listener = { profileId: "office", listener: "udp/1194" };

let directory: string;
let store: Store;
let connections: Connections;
let passage: Passage;
let disconnected: Tunnel[];
/** Whom the machine lets through, on which device. */
const through = new Map<string, string>();
/** What the daemon does when it is told to end a tunnel. */
let onDisconnect: (tunnel: Tunnel) => void;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sallyport-connections-"));
  store = await openSqlite({ file: join(directory, "sallyport.db") });
  disconnected = [];
  through.clear();
  onDisconnect = (tunnel) => void connections.gone(tunnel, { bytesIn: 7, bytesOut: 9 });
  connections = restarted();
});

afterEach(async () => {
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
        onDisconnect(tunnel);
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

const request = (key: string, commonName = `cn-${key}`): AccessRequest => ({
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

const decision = (properties = {}): Allow => ({
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

async function opened(key: string, { commonName = `cn-${key}`, properties = {} } = {}): Promise<Connection> {
  const result = await connections.open(request(key, commonName), decision(properties));
  if ("refused" in result) throw new Error(result.reason);
  return result.connection;
}

async function admitted(key: string, options = {}): Promise<Connection> {
  const connection = await opened(key, options);
  await passage.open(connection);
  expect(await connections.admit(connection, decision())).toBe(true);
  await connections.established({ ...listener, key });
  return connection;
}

const row = async (id: string) => {
  const found = await store.ledger.get(id);
  if (!found) throw new Error("no such row");
  return found;
};

const disconnects = async (id: string) => await store.deliveries.list({ sessionId: id, event: "disconnect", limit: 9 });

describe("a connection", () => {
  it("ends as client with the daemon's last counts, and tells each hook that was told", async () => {
    const { id } = await admitted("a");
    await connections.gone({ ...listener, key: "a" }, { bytesIn: 100, bytesOut: 200 });
    expect(through.has(id)).toBe(false);
    expect(await row(id)).toMatchObject({ state: "ended", endReason: "client", bytesIn: 100, bytesOut: 200 });
    expect((await disconnects(id)).map(({ hook }) => hook)).toEqual(["observer"]);
  });

  it("ends once, however often its end is noticed", async () => {
    const { id } = await admitted("a");
    const tunnel = { ...listener, key: "a" };
    const counts = { bytesIn: 1, bytesOut: 1 };
    await Promise.all(Array.from({ length: 50 }, () => connections.gone(tunnel, counts)));
    expect(await disconnects(id)).toHaveLength(1);
  });

  it("ends as admin when killed, with the counts of the daemon's own word", async () => {
    const { id } = await admitted("a");
    expect(await connections.kill(id, { reason: "admin", detail: "by root" })).toBe(true);
    expect(await row(id)).toMatchObject({ endReason: "admin", endDetail: "by root", bytesIn: 7, bytesOut: 9 });
    expect(await connections.kill(id, { reason: "admin", detail: null })).toBe(false);
  });

  it("ends as it was said that it would, when its renewed sign-in is denied", async () => {
    const { id } = await admitted("a");
    const tunnel = { ...listener, key: "a" };
    await connections.endsAs(tunnel, { reason: "expired", detail: "the session expired" });
    await connections.gone(tunnel, { bytesIn: 1, bytesOut: 2 });
    expect(await row(id)).toMatchObject({ endReason: "expired", endDetail: "the session expired", bytesIn: 1 });
  });

  it("is node-lost when the daemon died, with the last polled counts", async () => {
    const { id } = await admitted("a");
    await connections.traffic([{ tunnel: { ...listener, key: "a" }, bytesIn: 5, bytesOut: 6 }]);
    await connections.gone({ ...listener, key: "a" }, null);
    expect(await row(id)).toMatchObject({ endReason: "node-lost", bytesIn: 5, bytesOut: 6 });
  });

  it("ends as rejected when it may not stay at a renewal, with the reason and the daemon's last counts", async () => {
    const { id } = await admitted("1:0");
    const end = { reason: "rejected", detail: "the account is disabled" } as const;
    await connections.dismiss({ ...listener, key: "1:0" }, end, async () => {
      void connections.gone({ ...listener, key: "1:0" }, { bytesIn: 7, bytesOut: 9 });
    });
    const reason = { endReason: "rejected", endDetail: "the account is disabled" };
    expect(await row(id)).toMatchObject({ state: "ended", ...reason, bytesIn: 7 });
  });

  it("lasts as long as prop_expire says where its server has no sessions", async () => {
    const { expiresAt, reservedAt } = await admitted("1:0", { properties: { prop_expire: "60" } });
    expect(Date.parse(expiresAt ?? "") - Date.parse(reservedAt)).toBe(60_000);
  });

  it("leaves nothing when it is withdrawn", async () => {
    const connection = await opened("a");
    await connections.withdraw(connection, { reason: "rejected", detail: "hook firewall refused" });
    expect(await row(connection.id)).toMatchObject({ endReason: "rejected", endDetail: "hook firewall refused" });
    expect(await store.ledger.unfinished({ nodeNumber: 0 })).toEqual([]);
    expect(await connections.admit(connection, decision())).toBe(false);
  });

  it("is not admitted when the client left meanwhile", async () => {
    const connection = await opened("a");
    await connections.gone({ ...listener, key: "a" }, { bytesIn: 0, bytesOut: 0 });
    expect(await connections.admit(connection, decision())).toBe(false);
  });

  it("keeps its address held when nobody knows whether the daemon let it in", async () => {
    onDisconnect = () => {};
    const connection = await opened("a");
    await connections.admit(connection, decision());
    await connections.notAdmitted(connection, new Error("socket lost"));
    expect(await row(connection.id)).toMatchObject({ state: "ended" });
    expect(await store.ledger.unfinished({ nodeNumber: 0 })).toHaveLength(1);
    await connections.gone({ ...listener, key: "a" }, null);
    expect(await store.ledger.unfinished({ nodeNumber: 0 })).toEqual([]);
  });

  it("frees its address at once when its tunnel is gone before the yes", async () => {
    const connection = await opened("a");
    await connections.admit(connection, decision());
    await connections.notAdmitted(connection, new SallyportError("connection-ended", "gone"));
    expect(await store.ledger.unfinished({ nodeNumber: 0 })).toEqual([]);
  });
});

describe("a connection past its time", () => {
  const session = (expiresAt: string) => ({
    ...{
      id: "s",
      userId: "alice",
      signedInAs: "alice",
      profileId: "office",
      connectionId: "cn-a",
      createdAt: "",
      states: {},
    },
    expiresAt,
  });
  const expiring = async (authMethod: Allow["authMethod"]) => {
    const allow = { ...decision(), authMethod, session: session("2026-01-01T00:00:10.000Z") };
    const result = await connections.open(request("a"), allow);
    if ("refused" in result) throw new Error(result.reason);
    await connections.admit(result.connection, allow);
    return result.connection;
  };

  it("ends as expired, and not before", async () => {
    const { id } = await expiring("local");
    expect(await connections.expire(new Date("2026-01-01T00:00:09Z"))).toBe(0);
    expect(await connections.expire(new Date("2026-01-01T00:00:10Z"))).toBe(1);
    expect(await row(id)).toMatchObject({ state: "ended", endReason: "expired" });
    expect(await connections.expire(new Date("2026-01-01T00:00:11Z"))).toBe(0);
  });

  it("is never an auto-login one", async () => {
    await expiring("autologin");
    expect(await connections.expire(new Date("2036-01-01T00:00:00Z"))).toBe(0);
  });
});

describe("a connection whose client config was revoked, or whose account was disabled, by somebody who died then", () => {
  it("ends at the next look, as disabled, with its last counts", async () => {
    const { id } = await admitted("a");
    await store.accounts.addUser({ id: "alice", passwordDigest: null, at: "" });
    expect(await connections.endWithdrawn()).toBe(0);
    await store.accounts.setDisabled("alice", true);
    connections = restarted();
    expect(await connections.endWithdrawn()).toBe(1);
    expect(disconnected).toEqual([{ ...listener, key: "a" }]);
    expect(await row(id)).toMatchObject({ endReason: "disabled", endDetail: "the account was disabled", bytesIn: 7 });
    expect(await connections.endWithdrawn()).toBe(0);
  });
});

describe("the same device coming back", () => {
  it("ends its older connection as replaced and its tunnel too", async () => {
    const older = await admitted("a", { commonName: "cn" });
    const newer = await admitted("b", { commonName: "cn" });
    expect(await row(older.id)).toMatchObject({ endReason: "replaced" });
    expect(disconnected).toEqual([{ ...listener, key: "a" }]);
    expect(newer.ipv4).not.toBe(older.ipv4);
    expect(await disconnects(older.id)).toHaveLength(1);
  });

  it("is counted also where its tunnel has the older one's name, as WireGuard's have", async () => {
    let ended: Promise<void> | undefined;
    onDisconnect = (tunnel) => {
      ended = connections.gone(tunnel, { bytesIn: 7, bytesOut: 9 });
    };
    const older = await admitted("key", { commonName: "cn" });
    const newer = await admitted("key", { commonName: "cn" });
    await ended;
    await connections.traffic([{ tunnel: { ...listener, key: "key" }, bytesIn: 100, bytesOut: 200 }]);
    expect(await row(older.id)).toMatchObject({ endReason: "replaced" });
    expect(await row(newer.id)).toMatchObject({ state: "open", bytesIn: 100, bytesOut: 200 });
  });

  it("gets its fixed address again as soon as the older tunnel has let go of it", async () => {
    const properties = { conn_ip: "10.42.0.5" };
    await admitted("a", { commonName: "cn", properties });
    onDisconnect = (tunnel) => void setTimeout(() => connections.gone(tunnel, { bytesIn: 0, bytesOut: 0 }), 50);
    const newer = await admitted("b", { commonName: "cn", properties });
    expect(newer.ipv4).toBe("10.42.0.5");
  });

  it("is told that its fixed address is in use while another device holds it", async () => {
    const properties = { conn_ip: "10.42.0.5" };
    await admitted("a", { properties });
    expect(await connections.open(request("b"), decision(properties))).toMatchObject({ refused: "address-in-use" });
    expect(disconnected).toEqual([]);
  });
});

it("refuses more connections than a user may have, and counts the device that comes back once", async () => {
  const properties = { prop_max_connections: "2" };
  await admitted("a", { properties });
  await admitted("b", { commonName: "cn", properties });
  expect(await connections.open(request("c"), decision(properties))).toMatchObject({ refused: "too-many-connections" });
  await admitted("d", { commonName: "cn", properties });
});

it("refuses when every address is held", async () => {
  for (const key of ["a", "b", "c", "d", "e"]) await admitted(key);
  expect(await connections.open(request("f"), decision())).toMatchObject({ refused: "no-free-address" });
});

describe("after an attach", () => {
  const held = (connection: Connection, key: string) => ({
    tunnel: { ...listener, key },
    commonName: connection.connectionId,
    ipv4: connection.ipv4 ?? undefined,
    ipv6: undefined,
    bytesIn: 11,
    bytesOut: 22,
  });
  const attach = (tunnels: ReturnType<typeof held>[], sameDaemon = true) =>
    reconcile({
      listener: { ...listener, sameDaemon },
      tunnels,
      nodeNumber: 0,
      ledger: store.ledger,
      connections,
      passage,
      driver: { disconnect: async (tunnel) => void disconnected.push(tunnel) },
      log: silent,
    });

  it("keeps who is there under the new key, and ends who is not", async () => {
    const stays = await admitted("a");
    const left = await admitted("b");
    connections = restarted();
    await attach([held(stays, "new")]);
    expect([...through]).toEqual([[stays.id, "tun-test"]]);
    expect(await row(stays.id)).toMatchObject({ state: "open", tunnelKey: "new", bytesIn: 11, bytesOut: 22 });
    expect(await row(left.id)).toMatchObject({ state: "ended", endReason: "client" });
    await connections.gone({ ...listener, key: "new" }, { bytesIn: 12, bytesOut: 23 });
    expect(await row(stays.id)).toMatchObject({ endReason: "client", bytesIn: 12 });
  });

  it("ends everybody as node-lost when it is another daemon", async () => {
    const { id } = await admitted("a");
    connections = restarted();
    await attach([], false);
    expect(await row(id)).toMatchObject({ endReason: "node-lost" });
  });

  it("ends a tunnel that the ledger does not know, or knows under another certificate", async () => {
    const known = await admitted("a");
    connections = restarted();
    await attach([{ ...held(known, "x"), commonName: "stranger" }]);
    expect(disconnected).toEqual([{ ...listener, key: "x" }]);
    expect(await row(known.id)).toMatchObject({ state: "ended" });
  });

  it("rejects what was still being admitted, and ends its tunnel if there is one", async () => {
    const half = await opened("a");
    connections = restarted();
    await attach([held(half, "x")]);
    expect(await row(half.id)).toMatchObject({ endReason: "rejected" });
    expect(disconnected).toEqual([{ ...listener, key: "x" }]);
  });

  it("ends the tunnel of a connection that had ended before, and frees its address when it is gone", async () => {
    onDisconnect = () => {};
    const connection = await admitted("a");
    await connections.notAdmitted(connection, new Error("killed here"));
    connections = restarted();
    disconnected = [];
    await attach([held(connection, "x")]);
    expect(disconnected).toEqual([{ ...listener, key: "x" }]);
    await connections.gone({ ...listener, key: "x" }, { bytesIn: 0, bytesOut: 0 });
    expect(await store.ledger.unfinished({ nodeNumber: 0 })).toEqual([]);
  });
});
