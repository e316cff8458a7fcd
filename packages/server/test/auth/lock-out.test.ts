import { beforeEach, describe, expect, it } from "vitest";
import { LockOut } from "../../src/auth/lock-out.ts";
import type { Findings } from "../../src/auth/step.ts";
import { checkLockOutSince } from "../../src/auth/steps/check-lock-out.ts";
import type { AttemptRecord } from "../../src/core/attempt.ts";
import { Secret } from "../../src/core/secret.ts";

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
  const observed = (code: AttemptRecord["code"], given = { username: "alice", answer: false }) => {
    const shown: Partial<AttemptRecord> = { ...attempt, code, at: new Date(0).toISOString() };
    for (let i = 0; i < 3; i += 1) lockOut.observe(shown as AttemptRecord, given);
    return lockOut.locked(who, 0) !== undefined;
  };

  it.each<[AttemptRecord["code"], boolean]>([
    ["wrong-credentials", true],
    ["totp-wrong", true],
    ["totp-used", false],
    ["method-unreachable", false],
    ["locked-out", false],
    ["script-denied", false],
    ["too-many-questions", false],
  ])("%s counts: %s", (code, counts) => expect(observed(code)).toBe(counts));

  it.each(["script-denied", "too-many-questions"] as const)(
    "counts %s where an answer was judged: it may have been guessed",
    (code) => expect(observed(code, { username: "alice", answer: true })).toBe(true),
  );

  it("counts wrong codes for the name that was typed, where a directory calls the user by another", () => {
    observed("totp-wrong", { username: "alice@example.org", answer: true });
    expect(lockOut.locked({ ...who, userId: "alice@example.org", address: "192.0.2.99" }, 0)).toBeDefined();
  });
});

describe("lock-out", () => {
  it("locks a user out after so many wrong credentials, from wherever they come", () => {
    fail(2, 0);
    expect(lockOut.locked(who, minute)).toBeUndefined();
    fail(1, minute, { ...who, address: "192.0.2.8" });
    expect(lockOut.locked({ ...who, address: "192.0.2.9" }, minute)?.what).toBe("user alice");
  });

  it("takes every spelling of a name for the same user: directories do", () => {
    fail(2, 0);
    fail(1, 0, { ...who, userId: " ALICE" });
    expect(lockOut.locked({ ...who, userId: "Alice", address: "192.0.2.9" }, 0)).toBeDefined();
  });

  it("takes an IPv6 network for one address: whoever has one has them all", () => {
    for (let i = 1; i <= 5; i += 1) fail(1, 0, { userId: `user${i}`, address: `2001:db8:0:1::${i}` });
    expect(lockOut.locked({ userId: "bob", address: "2001:db8:0:1:ffff::1" }, 0)?.what).toContain("2001:db8:0:1::/64");
    expect(lockOut.locked({ userId: "bob", address: "2001:db8:0:2::1" }, 0)).toBeUndefined();
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

describe("guesses at the same moment", () => {
  const started = new Date(Date.now() - 1_000);
  const findings = (changes: Partial<Findings> = {}) =>
    ({
      request: { kind: "connect", clientAddress: who.address },
      credentials: { username: "alice", password: new Secret("right at last") },
      userId: "alice",
      at: started,
      resumedSession: null,
      ...changes,
    }) as Findings;

  it("are not heard once the others among them were too many, right or not", async () => {
    const since = checkLockOutSince({ lockOut });
    expect(await since.run(findings())).toMatchObject({ outcome: "passed" });
    fail(3, Date.now());
    // The first look is at the time they all came.
    expect(await since.run(findings())).toMatchObject({ outcome: "denied", code: "locked-out" });
  });

  it("have nothing to do with a session's token or a certificate alone", async () => {
    const since = checkLockOutSince({ lockOut });
    fail(3, Date.now());
    const resumed = findings({ resumedSession: { id: "s" } as never });
    expect(await since.run(resumed)).toMatchObject({ outcome: "skipped" });
    expect(await since.run(findings({ credentials: {} as never }))).toMatchObject({ outcome: "skipped" });
  });
});
