import { describe, expect, it } from "vitest";
import type { Telling } from "../../src/core/hook.ts";
import { backoffMs } from "../../src/hooks/deliveries.ts";
import { until } from "../waiting.ts";
import { crashed, ledger, passThrough, settled, start } from "./delivering.ts";
import { listener, yes } from "./hook.ts";

describe("an observer", () => {
  it("is told of the connect after the admission, and of the disconnect after that", async () => {
    const siem = listener({ name: "siem" });
    const hooks = await start([siem]);
    const connection = await ledger.admitted(hooks.observers());
    hooks.wake();
    await until("it is told of the connect", () => siem.told.length === 1);
    await ledger.end(connection.id, hooks.subscribers(), "expired");
    hooks.wake();
    await settled(connection.id, 2);
    expect(siem.told).toMatchObject([
      { event: "C", eventId: connection.connectEventId, attempt: 1, originatingIp: "198.51.100.20" },
      { event: "D", eventId: connection.disconnectEventId, attempt: 1, bytesIn: 1_000, disconnectReason: "expired" },
    ]);
  });

  it("is told again, under the same event id and with the attempts counted, until it says yes", async () => {
    let answers = 0;
    const siem = listener({ name: "siem" }, () => (++answers % 3 === 0 ? yes : crashed));
    const hooks = await start([siem]);
    const id = await passThrough(hooks);
    await settled(id, 2);
    const row = await ledger.store.ledger.get(id);
    expect(siem.told.map(({ event, eventId, attempt }) => [event, eventId, attempt])).toEqual([
      ["C", row?.connectEventId, 1],
      ["C", row?.connectEventId, 2],
      ["C", row?.connectEventId, 3],
      ["D", row?.disconnectEventId, 1],
      ["D", row?.disconnectEventId, 2],
      ["D", row?.disconnectEventId, 3],
    ]);
  });

  it("that says no is told again like one that fails", async () => {
    const answers: Telling[] = [{ ...yes, answer: "no", error: "exit status 1" }, yes, yes];
    const siem = listener({ name: "siem" }, () => answers.shift() ?? yes);
    await settled(await passThrough(await start([siem])), 2);
    expect(siem.told.map(({ event, attempt }) => `${event}${attempt}`)).toEqual(["C1", "C2", "D1"]);
  });

  it("that never says yes is given up after as many attempts as its policy has, and what it printed is kept", async () => {
    const retry = { attempts: 3, firstWaitMs: 5, longestWaitMs: 10 };
    const siem = listener({ name: "siem", events: ["connect"], retry }, () => crashed);
    const hooks = await start([siem]);
    const { id } = await ledger.admitted(hooks.observers());
    hooks.wake();
    const [delivery] = await settled(id, 1);
    expect(delivery).toMatchObject({
      state: "failed",
      attempts: 3,
      error: "it crashed",
      output: "half",
      durationMs: 1,
    });
    expect(siem.told).toHaveLength(3);
  });

  it("is told no more often than it says makes sense, and not before it says", async () => {
    const answers: Record<string, Telling> = {
      gone: { ...crashed, again: "never" },
      deaf: { ...crashed, again: "few" },
      busy: { ...crashed, again: { afterMs: 3_600_000 } },
    };
    const retry = { attempts: 9, firstWaitMs: 1, longestWaitMs: 2 };
    const hooks = await start(
      Object.entries(answers).map(([name, answer]) => listener({ name, retry, events: ["connect"] }, () => answer)),
    );
    const { id } = await ledger.admitted(hooks.observers());
    hooks.wake();
    const rows = await until("two are given up and one waits", async () => {
      const all = await ledger.deliveries(id);
      const over = all.filter(({ state }) => state === "failed");
      return over.length === 2 && all.every(({ attempts, state }) => attempts > 0 && state !== "running")
        ? all
        : undefined;
    });
    const of = (name: string) => rows.find(({ hook }) => hook === name);
    expect([of("gone"), of("deaf"), of("busy")]).toMatchObject([
      { state: "failed", attempts: 1 },
      { state: "failed", attempts: 3 },
      { state: "waiting", attempts: 1 },
    ]);
    expect(Date.parse(of("busy")?.nextAt ?? "") - Date.now()).toBeGreaterThan(3_000_000);
  });

  it("that has no room waits, without an attempt, until it has", async () => {
    let room = 0;
    const siem = { ...listener({ name: "siem", events: ["connect"] }), room: () => room };
    const other = listener({ name: "other", events: ["connect"] });
    const hooks = await start([siem, other]);
    const { id } = await ledger.admitted(hooks.observers());
    hooks.wake();
    await until("the other has heard", () => other.told.length === 1);
    expect(siem.told).toEqual([]);
    room = 1;
    await settled(id, 2);
    expect(siem.told).toMatchObject([{ attempt: 1 }]);
  });

  it("is never told of a disconnect before its connect is done or given up", async () => {
    const retry = { attempts: 4, firstWaitMs: 30, longestWaitMs: 60 };
    const siem = listener({ name: "siem", retry }, ({ event }) => (event === "C" ? crashed : yes));
    const hooks = await start([siem]);
    await settled(await passThrough(hooks), 2);
    expect(siem.told.map(({ event }) => event)).toEqual(["C", "C", "C", "C", "D"]);
  });

  it("that hangs is told again by the next worker after this one had to stop", async () => {
    const hung = listener({ name: "siem" }, (_, abort) => {
      return new Promise((resolve) => abort.addEventListener("abort", () => resolve(crashed)));
    });
    const hooks = await start([hung]);
    const { id, connectEventId } = await ledger.admitted(hooks.observers());
    hooks.wake();
    await until("it is being told", () => hung.told.length === 1);
    await hooks.stop(50);
    expect(await ledger.deliveries(id)).toMatchObject([{ state: "waiting", attempts: 1 }]);
    const siem = listener({ name: "siem" });
    await start([siem]);
    await until("it is told again", () => siem.told.length === 1);
    expect(siem.told).toMatchObject([{ eventId: connectEventId, attempt: 2 }]);
  });
});

describe("a veto hook", () => {
  it("that was told of the connect is told of the disconnect, also when it had refused or failed", async () => {
    for (const answer of [yes, { ...yes, answer: "no" as const }, crashed]) {
      const gate = listener({ name: "gate", veto: true }, ({ event }) => (event === "C" ? answer : yes));
      const hooks = await start([gate]);
      const connection = await ledger.reserve({ userId: answer.answer });
      await hooks.vetoes.ask(connection);
      await ledger.end(connection.id, hooks.subscribers(), "rejected");
      hooks.wake();
      await settled(connection.id, 2);
      expect(gate.told.map(({ event }) => event)).toEqual(["C", "D"]);
      expect(gate.told[1]).toMatchObject({ disconnectReason: "rejected", eventId: connection.disconnectEventId });
    }
  });

  it("that was not told of the connect is told of no disconnect", async () => {
    const [first, second] = ["first", "second"].map((name) =>
      listener({ name, veto: true }, ({ event }) => (event === "C" ? { ...yes, answer: "no" } : yes)),
    );
    if (!first || !second) throw new Error("two hooks");
    const hooks = await start([first, second]);
    const connection = await ledger.reserve();
    await hooks.vetoes.ask(connection);
    await ledger.end(connection.id, hooks.subscribers(), "rejected");
    hooks.wake();
    await settled(connection.id, 2);
    expect(second.told).toEqual([]);
  });
});

describe("a hook for disconnects alone", () => {
  it("is told of the disconnect of every admitted connection and of no connect", async () => {
    const accounting = listener({ name: "accounting", events: ["disconnect"] });
    const hooks = await start([accounting]);
    const id = await passThrough(hooks);
    await settled(id, 2);
    expect(accounting.told).toMatchObject([{ event: "D", sessionId: id, attempt: 1 }]);
  });

  it("is told nothing of a connection that was never admitted", async () => {
    const accounting = listener({ name: "accounting", events: ["disconnect"] });
    const hooks = await start([accounting]);
    const { id } = await ledger.reserve();
    await ledger.end(id, hooks.subscribers(), "rejected");
    expect(await ledger.deliveries(id)).toEqual([]);
  });
});

describe("a hook for connects alone", () => {
  it("is told of no disconnect", async () => {
    const inventory = listener({ name: "inventory", events: ["connect"] });
    const hooks = await start([inventory]);
    await settled(await passThrough(hooks), 1);
    expect(inventory.told.map(({ event }) => event)).toEqual(["C"]);
  });
});

describe("many deliveries", () => {
  it("run at once within both bounds, and a slow hook holds up no other", async () => {
    const gate = Promise.withResolvers<Telling>();
    let [slowNow, mostSlow, allNow, mostAll] = [0, 0, 0, 0];
    const counted = async (answer: () => Promise<Telling>) => {
      mostAll = Math.max(mostAll, ++allNow);
      const told = await answer();
      allNow -= 1;
      return told;
    };
    const slow = listener({ name: "slow", events: ["connect"], concurrency: 3 }, () =>
      counted(() => {
        mostSlow = Math.max(mostSlow, ++slowNow);
        return gate.promise;
      }),
    );
    const quick = listener({ name: "quick", events: ["connect"] }, () => counted(async () => yes));
    const hooks = await start([slow, quick], { bounds: { deliveries: 5, waiting: 1 } });
    await Promise.all(Array.from({ length: 20 }, () => ledger.admitted(hooks.observers())));
    hooks.wake();
    await until("the quick one has heard everything", () => quick.told.length === 20);
    expect([mostSlow, slow.told.length]).toEqual([3, 3]);
    expect(mostAll).toBeLessThanOrEqual(5);
    gate.resolve(yes);
    await until("the slow one too", () => slow.told.length === 20);
    expect(mostAll).toBeLessThanOrEqual(5);
  });

  it("give each event of each connection one id, whatever fails on the way", async () => {
    let calls = 0;
    const flaky = ["one", "two"].map((name) => listener({ name }, () => (++calls % 2 ? crashed : yes)));
    const hooks = await start(flaky);
    const ids = await Promise.all(Array.from({ length: 15 }, (_, i) => passThrough(hooks, `user-${i}`)));
    for (const id of ids) await settled(id, 4);
    const told = flaky.flatMap((hook) => hook.told);
    for (const id of ids) {
      const row = await ledger.store.ledger.get(id);
      const ofEvent = (event: string) =>
        new Set(told.filter((t) => t.sessionId === id && t.event === event).map((t) => t.eventId));
      expect(ofEvent("C")).toEqual(new Set([row?.connectEventId]));
      expect(ofEvent("D")).toEqual(new Set([row?.disconnectEventId]));
    }
  });
});

it("the backoff doubles up to the longest wait, less a quarter at most", () => {
  const retry = { attempts: 99, firstWaitMs: 1_000, longestWaitMs: 300_000 };
  for (const [attempt, wholeMs] of [
    [1, 1_000],
    [2, 2_000],
    [3, 4_000],
    [9, 256_000],
    [10, 300_000],
    [5_000, 300_000],
  ] as const) {
    const waits = Array.from({ length: 200 }, () => backoffMs(retry, attempt));
    expect(Math.max(...waits)).toBeLessThanOrEqual(wholeMs);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(wholeMs * 0.75);
    expect(new Set(waits).size).toBeGreaterThan(50);
  }
});
