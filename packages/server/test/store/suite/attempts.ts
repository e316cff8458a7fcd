import { describe, expect, test } from "vitest";
import { Secret } from "../../../src/core/secret.ts";
import { anAttempt, at, type OpenStore, withStore } from "./rows.ts";

export function attemptsSuite(open: OpenStore): void {
  describe("attempts", () => {
    test("one that was recorded can be read at once, whole", () =>
      withStore(open, async ({ attempts }) => {
        const attempt = anAttempt();
        attempts.record(attempt);
        expect(await attempts.get(attempt.id)).toEqual(attempt);
        expect(await attempts.get("none")).toBeUndefined();
      }));

    test("one that comes twice is kept once, and holds up no other", () =>
      withStore(open, async ({ attempts }) => {
        const attempt = anAttempt();
        attempts.record(attempt);
        await attempts.flush();
        const other = anAttempt({ at: at(1) });
        attempts.record(attempt);
        attempts.record(other);
        await attempts.flush();
        expect(await attempts.list({ limit: 10 })).toEqual([other, attempt]);
      }));

    test("what is written is what was recorded, whatever happens to the object afterwards", () =>
      withStore(open, async ({ attempts }) => {
        const attempt = anAttempt({ reason: "before" });
        attempts.record(attempt);
        attempt.reason = "after";
        expect((await attempts.get(attempt.id))?.reason).toBe("before");
      }));

    test("a secret that finds its way into one is masked", () =>
      withStore(open, async ({ attempts }) => {
        const attempt = anAttempt({ scriptInput: { password: new Secret("hunter2") } });
        attempts.record(attempt);
        expect((await attempts.get(attempt.id))?.scriptInput).toEqual({ password: "[secret]" });
      }));

    test("they are listed newest first, by user, since a time, up to a limit", () =>
      withStore(open, async ({ attempts }) => {
        const recorded = Array.from({ length: 1_000 }, (_, i) =>
          anAttempt({ at: at(i), userId: i % 2 === 0 ? "alice" : "bob", reason: `${i}` }),
        );
        for (const attempt of recorded) attempts.record(attempt);
        const reasons = async (filter: Parameters<typeof attempts.list>[0]) =>
          (await attempts.list(filter)).map(({ reason }) => reason);
        expect(await reasons({ limit: 3 })).toEqual(["999", "998", "997"]);
        expect(await reasons({ userId: "alice", limit: 2 })).toEqual(["998", "996"]);
        expect(await reasons({ since: at(998), limit: 10 })).toEqual(["999", "998"]);
        expect(await reasons({ userId: "alice", since: at(996), limit: 10 })).toEqual(["998", "996"]);
        expect(await reasons({ userId: "carol", limit: 10 })).toEqual([]);
        expect(await attempts.list({ limit: 5_000 })).toHaveLength(1_000);
      }));

    test("those whose id ends as a code says are found, written or not", () =>
      withStore(open, async ({ attempts }) => {
        const [first, second, other] = [anAttempt(), anAttempt({ at: at(1) }), anAttempt({ at: at(2) })];
        attempts.record(first);
        await attempts.flush();
        for (const attempt of [second, other]) attempts.record(attempt);
        const endings = [first.id.slice(-8), second.id.slice(-8), "%", "________"];
        expect((await attempts.endingIn(endings.slice(0, 2))).map(({ id }) => id)).toEqual([second.id, first.id]);
      }));

    test("one that was refused afterwards says so, and what was decided before stays in its trace", () =>
      withStore(open, async ({ attempts }) => {
        const attempt = anAttempt({ outcome: "allow", code: null });
        attempts.record(attempt);
        const refusal = { code: "no-free-address", reason: "10.42.0.0/30 is full", clientReason: "No room." } as const;
        expect(await attempts.refusedAfterwards(attempt.id, refusal)).toBe(true);
        const found = await attempts.get(attempt.id);
        expect(found).toMatchObject({ ...refusal, outcome: "deny", userId: attempt.userId });
        expect(found?.trace.slice(0, -1)).toEqual(attempt.trace);
        expect(found?.trace.at(-1)).toMatchObject({ outcome: "denied", detail: refusal.reason });
        expect(await attempts.refusedAfterwards("none", refusal)).toBe(false);
      }));

    test("those before a time are pruned, however many", () =>
      withStore(open, async ({ attempts }) => {
        for (let i = 0; i < 2_500; i++) attempts.record(anAttempt({ at: at(i) }));
        await attempts.flush();
        expect(await attempts.prune(at(2_400))).toBe(2_400);
        expect(await attempts.prune(at(2_400))).toBe(0);
        expect(await attempts.list({ limit: 5_000 })).toHaveLength(100);
      }));
  });
}
