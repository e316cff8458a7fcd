import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { SallyportError } from "../../src/core/errors.ts";
import {
  admitted,
  connections,
  decision,
  disconnected,
  disconnects,
  listener,
  opened,
  request,
  row,
  store,
  through,
  whenToldToEnd,
} from "./ledger-verbs.ts";

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
    whenToldToEnd(() => {});
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
    whenToldToEnd((tunnel) => {
      ended = connections.gone(tunnel, { bytesIn: 7, bytesOut: 9 });
    });
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
    whenToldToEnd((tunnel) => wait(50).then(() => connections.gone(tunnel, { bytesIn: 0, bytesOut: 0 })));
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
