import { beforeEach, describe, expect, it } from "vitest";
import { LockOut } from "../../src/auth/lock-out.ts";
import type { AttemptRecord } from "../../src/core/attempt.ts";

const minute = 60_000;
const who = { userId: "alice", address: "192.0.2.7" };
let lockOut: LockOut;

beforeEach(() => {
  lockOut = new LockOut({ failures: 3, addressFailures: 5, windowMs: 15 * minute });
});

const fail = (times: number, at: number, given = who) => {
  for (let i = 0; i < times; i += 1) lockOut.failed(given, at);
};

describe("what attempts show", () => {
  const attempt = { kind: "connect", outcome: "deny", userId: "alice", clientAddress: "192.0.2.7" } as const;
  const observed = (code: AttemptRecord["code"]) => {
    const shown: Partial<AttemptRecord> = { ...attempt, code, at: new Date(0).toISOString() };
    for (let i = 0; i < 3; i += 1) lockOut.observe(shown as AttemptRecord);
    return lockOut.locked(who, 0) !== undefined;
  };

  it.each<[AttemptRecord["code"], boolean]>([
    ["wrong-credentials", true],
    ["totp-wrong", true],
    ["totp-used", false],
    ["method-unreachable", false],
    ["locked-out", false],
  ])("%s counts: %s", (code, counts) => expect(observed(code)).toBe(counts));
});

describe("lock-out", () => {
  it("locks a user out after so many wrong credentials, from wherever they come", () => {
    fail(2, 0);
    expect(lockOut.locked(who, minute)).toBeUndefined();
    fail(1, minute, { ...who, address: "192.0.2.8" });
    expect(lockOut.locked({ ...who, address: "192.0.2.9" }, minute)?.what).toBe("user alice");
  });

  it("ends by itself when the window has passed, and says when", () => {
    fail(3, minute);
    expect(lockOut.locked(who, minute)?.until).toEqual(new Date(16 * minute));
    expect(lockOut.locked(who, 16 * minute - 1)).toBeDefined();
    expect(lockOut.locked(who, 16 * minute)).toBeUndefined();
  });

  it("does not lock others out who share the address, before it has failed much more", () => {
    fail(3, 0);
    expect(lockOut.locked({ ...who, userId: "bob" }, 0)).toBeUndefined();
    fail(2, 0, { ...who, userId: "carol" });
    expect(lockOut.locked({ ...who, userId: "bob" }, 0)?.what).toBe("address 192.0.2.7");
  });

  it("forgets a user's failures at a right password", () => {
    fail(2, 0);
    lockOut.succeeded(who);
    fail(2, 0);
    expect(lockOut.locked(who, 0)).toBeUndefined();
  });

  it("is not prolonged by whoever goes on trying while it lasts: the window slides over the newest only", () => {
    fail(3, 0);
    fail(1, 10 * minute);
    expect(lockOut.locked(who, 15 * minute)).toBeUndefined();
  });

  it("keeps a bounded memory", () => {
    for (let i = 0; i < 210_000; i += 1) lockOut.failed({ userId: `u${i}`, address: "192.0.2.7" }, 0);
    expect(lockOut.locked({ userId: "u209999", address: "192.0.2.7" }, 0)).toBeDefined();
  });
});
