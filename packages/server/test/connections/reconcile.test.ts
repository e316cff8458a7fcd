import { describe, expect, it } from "vitest";
import { reconcile } from "../../src/connections/reconcile.ts";
import type { Connection } from "../../src/core/connection.ts";
import {
  admitted,
  connections,
  disconnected,
  listener,
  opened,
  passage,
  restart,
  row,
  silent,
  store,
  through,
  whenToldToEnd,
} from "./ledger-verbs.ts";

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
    restart();
    await attach([held(stays, "new")]);
    expect([...through]).toEqual([[stays.id, "tun-test"]]);
    expect(await row(stays.id)).toMatchObject({ state: "open", tunnelKey: "new", bytesIn: 11, bytesOut: 22 });
    expect(await row(left.id)).toMatchObject({ state: "ended", endReason: "client" });
    await connections.gone({ ...listener, key: "new" }, { bytesIn: 12, bytesOut: 23 });
    expect(await row(stays.id)).toMatchObject({ endReason: "client", bytesIn: 12 });
  });

  it("ends everybody as node-lost when it is another daemon", async () => {
    const { id } = await admitted("a");
    restart();
    await attach([], false);
    expect(await row(id)).toMatchObject({ endReason: "node-lost" });
  });

  it("ends a tunnel that the ledger does not know, or knows under another certificate", async () => {
    const known = await admitted("a");
    restart();
    await attach([{ ...held(known, "x"), commonName: "stranger" }]);
    expect(disconnected).toEqual([{ ...listener, key: "x" }]);
    expect(await row(known.id)).toMatchObject({ state: "ended" });
  });

  it("rejects what was still being admitted, and ends its tunnel if there is one", async () => {
    const half = await opened("a");
    restart();
    await attach([held(half, "x")]);
    expect(await row(half.id)).toMatchObject({ endReason: "rejected" });
    expect(disconnected).toEqual([{ ...listener, key: "x" }]);
  });

  it("ends the tunnel of a connection that had ended before, and frees its address when it is gone", async () => {
    whenToldToEnd(() => {});
    const connection = await admitted("a");
    await connections.notAdmitted(connection, new Error("killed here"));
    restart();
    disconnected.length = 0;
    await attach([held(connection, "x")]);
    expect(disconnected).toEqual([{ ...listener, key: "x" }]);
    await connections.gone({ ...listener, key: "x" }, { bytesIn: 0, bytesOut: 0 });
    expect(await store.ledger.unfinished({ nodeNumber: 0 })).toEqual([]);
  });
});
