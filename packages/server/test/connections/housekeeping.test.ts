import { describe, expect, it } from "vitest";
import type { Allow } from "../../src/core/decision.ts";
import {
  admitted,
  connections,
  decision,
  disconnected,
  listener,
  request,
  restart,
  row,
  store,
} from "./ledger-verbs.ts";

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
    restart();
    expect(await connections.endWithdrawn()).toBe(1);
    expect(disconnected).toEqual([{ ...listener, key: "a" }]);
    expect(await row(id)).toMatchObject({ endReason: "disabled", endDetail: "the account was disabled", bytesIn: 7 });
    expect(await connections.endWithdrawn()).toBe(0);
  });
});
