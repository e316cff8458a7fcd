import { describe, expect, test } from "vitest";
import type { VpnSession } from "../../../src/core/session.ts";
import { at, type OpenStore, withStore } from "./rows.ts";

export function sessionsSuite(open: OpenStore): void {
  describe("challenges", () => {
    const challenge = {
      id: "state",
      userId: "alice",
      profileId: "office",
      serial: null,
      expiresAt: at(300),
      carried: { step: "post-auth", resume: { ключ: [1, null, "x\n"] } },
    };

    test("a question is taken once, as it was put", () =>
      withStore(open, async ({ challenges }) => {
        await challenges.put(challenge);
        const taken = await Promise.all([1, 2, 3].map(() => challenges.take("state", at(10))));
        expect(taken.filter((one) => one !== undefined)).toEqual([challenge]);
      }));

    test("an expired one is as none, and is pruned", () =>
      withStore(open, async ({ challenges }) => {
        await challenges.put(challenge);
        await challenges.put({ ...challenge, id: "other" });
        expect(await challenges.take("state", at(300))).toBeUndefined();
        expect(await challenges.prune(at(299))).toBe(0);
        expect(await challenges.prune(at(300))).toBe(1);
      }));
  });

  describe("sessions", () => {
    const session = (given: Partial<VpnSession> = {}): VpnSession => ({
      id: "s1",
      userId: "alice",
      signedInAs: "Alice",
      profileId: "office",
      connectionId: "cn-1",
      createdAt: at(0),
      expiresAt: null,
      states: { mfa: "blob" },
      ...given,
    });

    test("one is put, put again in its own place, and ended", () =>
      withStore(open, async ({ sessions }) => {
        await sessions.put(session());
        await sessions.put(session({ states: {} }));
        expect(await sessions.get("s1")).toEqual(session({ states: {} }));
        expect(await sessions.end({ id: "s1" })).toBe(1);
        expect(await sessions.get("s1")).toBeUndefined();
      }));

    test("a user's and a device's end together, and nobody else's", () =>
      withStore(open, async ({ sessions }) => {
        await sessions.put(session());
        await sessions.put(session({ id: "s2", connectionId: "cn-2" }));
        await sessions.put(session({ id: "s3", userId: "bob", connectionId: "cn-3" }));
        expect(await sessions.end({ connectionId: "cn-2" })).toBe(1);
        expect(await sessions.end({ userId: "alice" })).toBe(1);
        expect(await sessions.get("s3")).toBeDefined();
      }));

    test("those past their time are pruned, and those without one stay", () =>
      withStore(open, async ({ sessions }) => {
        await sessions.put(session({ expiresAt: at(10) }));
        await sessions.put(session({ id: "s2" }));
        expect(await sessions.prune(at(10))).toBe(1);
        expect(await sessions.get("s2")).toBeDefined();
      }));
  });
}
