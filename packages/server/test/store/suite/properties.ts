import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { newId } from "../../../src/core/id.ts";
import type { Store } from "../../../src/store/store.ts";
import { Model } from "./model.ts";
import { anEnd, aReservation, at, type OpenStore, ranges, withStore } from "./rows.ts";

const RANGE = "10.42.0.0/29";
const IN_RANGE = ["10.42.0.2", "10.42.0.3", "10.42.0.4", "10.42.0.5", "10.42.0.6"];
const LEASE = 5;

/** One step: `which` picks among what there is, so that most steps meet something. */
type Step =
  | { do: "reserve"; device: string; fixed: string | null; subscribers: string[] }
  | { do: "admit"; which: number; observers: string[] }
  | { do: "end"; which: number; release: boolean; subscribers: string[] }
  | { do: "release"; which: number }
  | { do: "tell"; which: number; hook: string }
  | { do: "take"; limit: number; busy: string[] }
  | { do: "finish"; which: number; how: "done" | "failed" | number }
  | { do: "retry"; which: number }
  | { do: "abandon" }
  | { do: "pass"; seconds: number };

const which = fc.nat({ max: 1_000 });
const hooks = fc.subarray(["siem", "inventory", "billing"]);
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("reserve" as const),
      device: fc.constantFrom("laptop", "phone", "desk", "car"),
      fixed: fc.option(fc.constantFrom(...IN_RANGE, "10.9.9.9"), { freq: 2 }),
      subscribers: hooks,
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("admit" as const), which, observers: hooks }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("end" as const), which, release: fc.boolean(), subscribers: hooks }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("release" as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("tell" as const), which, hook: fc.constantFrom("veto", "siem") }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("take" as const), limit: fc.integer({ min: 1, max: 4 }), busy: hooks }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("finish" as const),
      which,
      how: fc.oneof(fc.constantFrom("done" as const, "failed" as const), fc.integer({ min: 0, max: 8 })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("retry" as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("abandon" as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pass" as const), seconds: fc.integer({ min: 1, max: 7 }) }) },
);

export function propertiesSuite(open: OpenStore): void {
  describe("any sequence of reservations, ends and deliveries", () => {
    test(
      "leaves the store as a simple model of it says",
      () =>
        fc.assert(
          fc.asyncProperty(fc.array(steps, { minLength: 20, maxLength: 120 }), (sequence) =>
            withStore(open, async (store) => {
              const model = new Model();
              for (const step of sequence) await take(step, store, model);
              await compare(store, model);
              await drain(store, model);
              await compare(store, model);
              everybodyWasToldOnce(model);
            }),
          ),
          { numRuns: 40 },
        ),
      300_000,
    );
  });
}

async function take(step: Step, store: Store, model: Model): Promise<void> {
  switch (step.do) {
    case "reserve":
      return reserve(step, store, model);
    case "admit": {
      const id = pick(model.connections, step.which)?.id ?? "none";
      const admission = { at: at(model.now), save: {}, observers: step.observers };
      expect(await store.ledger.admit(id, admission)).toBe(model.admit(id, admission.observers));
      return;
    }
    case "end": {
      const id = pick(model.connections, step.which)?.id ?? "none";
      const { release, subscribers } = step;
      const ended = await store.ledger.end(id, anEnd({ at: at(model.now), release, subscribers }));
      expect(ended).toBe(model.end(id, "client", subscribers, release));
      return;
    }
    case "release": {
      const connection = pick(model.connections, step.which);
      await store.ledger.release(connection?.id ?? "none");
      if (connection) connection.holds = null;
      return;
    }
    case "tell":
      return tell(step, store, model);
    case "take":
      await takeDue(step, store, model);
      return;
    case "finish":
      return finish(step, store, model);
    case "retry": {
      const delivery = pick(await store.deliveries.list({ limit: 1_000 }), step.which);
      const known = delivery && model.of(delivery);
      const may = known !== undefined && known.state === "failed" && !known.veto;
      expect(await store.deliveries.retry(delivery?.id ?? "none", at(model.now))).toBe(may);
      if (known && may) Object.assign(known, { state: "waiting", attempts: 0, nextAt: model.now });
      return;
    }
    case "abandon":
      expect(await store.deliveries.abandonRunning(at(model.now))).toBe(model.abandonRunning());
      return;
    case "pass":
      model.now += step.seconds;
  }
}

async function reserve(step: Extract<Step, { do: "reserve" }>, store: Store, model: Model): Promise<void> {
  const { device, fixed, subscribers } = step;
  const id = newId();
  const ipv4 = fixed === null ? ranges(RANGE) : { fixed };
  const reserved = await store.ledger.reserve(
    aReservation({ id, connectionId: device, reservedAt: at(model.now) }, { ipv4, subscribers }),
  );
  expect(reserved.replaced.map((connection) => connection.id)).toEqual(model.replace(device, subscribers));
  const free = (fixed === null ? IN_RANGE : [fixed]).filter((address) => model.holder(address) === undefined);
  if ("refused" in reserved) {
    expect(free).toEqual([]);
    expect(reserved.refused).toBe(fixed === null ? "no-free-address" : "address-in-use");
    expect(reserved.heldBy).toBe(fixed === null ? null : model.holder(fixed));
    return;
  }
  expect(free).toContain(reserved.connection.ipv4);
  model.connections.push({ id, device, state: "reserved", reason: null, holds: reserved.connection.ipv4 });
}

async function tell(step: Extract<Step, { do: "tell" }>, store: Store, model: Model): Promise<void> {
  const sessionId = pick(model.connections, step.which)?.id ?? "none";
  const telling = { sessionId, hook: step.hook, at: at(model.now), leaseUntil: at(model.now + LEASE) };
  const told = await store.deliveries.tell(telling).then(
    (delivery) => (delivery === undefined ? "ended" : "told"),
    () => "twice",
  );
  expect(told).toBe(model.tell(sessionId, step.hook, model.now + LEASE));
}

async function takeDue(step: Extract<Step, { do: "take" }>, store: Store, model: Model): Promise<number> {
  const { limit, busy } = step;
  expect(await store.deliveries.nextDueAt()).toBe(model.nextDueAt());
  const due = model.due(busy);
  const taken = await store.deliveries.takeDue({ now: at(model.now), leaseUntil: at(model.now + LEASE), limit, busy });
  expect(taken).toHaveLength(Math.min(limit, due.length));
  expect(taken.map((delivery) => model.of(delivery).nextAt)).toEqual(due.slice(0, limit).map(({ nextAt }) => nextAt));
  for (const delivery of taken) {
    const known = model.of(delivery);
    expect(due).toContain(known);
    Object.assign(known, { state: "running", attempts: known.attempts + 1, leaseUntil: model.now + LEASE });
  }
  return taken.length;
}

async function finish(step: Extract<Step, { do: "finish" }>, store: Store, model: Model): Promise<void> {
  const delivery = pick(await store.deliveries.list({ state: "running", limit: 1_000 }), step.which);
  if (delivery === undefined) return;
  const { how } = step;
  const state = typeof how === "number" ? { retryAt: at(model.now + how) } : how;
  await store.deliveries.finish(delivery.id, { at: at(model.now), state, durationMs: 1, output: "", error: null });
  const known = model.of(delivery);
  if (typeof how === "number") Object.assign(known, { state: "waiting", nextAt: model.now + how });
  else known.state = how;
}

/** Time passes and every hook answers: whatever was queued is delivered in the end. */
async function drain(store: Store, model: Model): Promise<void> {
  for (let round = 0; round < 20; round++) {
    model.now += 10;
    while ((await takeDue({ do: "take", limit: 50, busy: [] }, store, model)) > 0) {
      for (const { id } of await store.deliveries.list({ state: "running", limit: 1_000 })) {
        const delivery = await store.deliveries.get(id);
        if (delivery === undefined || model.of(delivery).veto) continue;
        await store.deliveries.finish(id, { at: at(model.now), state: "done", durationMs: 1, output: "", error: null });
        model.of(delivery).state = "done";
      }
    }
  }
}

async function compare(store: Store, model: Model): Promise<void> {
  const connections = await store.ledger.list({ limit: 1_000 });
  expect(new Set(connections.map(({ id, state, endReason }) => `${id} ${state} ${endReason}`))).toEqual(
    new Set(model.connections.map(({ id, state, reason }) => `${id} ${state} ${reason}`)),
  );
  const unfinished = await store.ledger.unfinished({ nodeNumber: 0 });
  expect(new Set(unfinished.map(({ id }) => id))).toEqual(
    new Set(model.connections.filter(({ state, holds }) => state !== "ended" || holds !== null).map(({ id }) => id)),
  );
  const deliveries = await store.deliveries.list({ limit: 1_000 });
  expect(
    deliveries.map((each) => `${each.sessionId} ${each.hook} ${each.event} ${each.state} ${each.attempts}`).sort(),
  ).toEqual(
    model.deliveries.map((each) => `${each.session} ${each.hook} ${each.event} ${each.state} ${each.attempts}`).sort(),
  );
  for (const { id, connectEventId, disconnectEventId } of connections) {
    for (const { eventId, event } of deliveries.filter(({ sessionId }) => sessionId === id)) {
      expect(eventId).toBe(event === "connect" ? connectEventId : disconnectEventId);
    }
  }
}

function everybodyWasToldOnce(model: Model): void {
  expect(model.deliveries.filter(({ state }) => state === "waiting" || state === "running")).toEqual([]);
  const keys = model.deliveries.map(({ session, hook, event }) => `${session} ${hook} ${event}`);
  expect(new Set(keys).size).toBe(keys.length);
  for (const { session, event } of model.deliveries) {
    if (event === "disconnect") expect(model.connection(session)?.state).toBe("ended");
  }
}

function pick<T>(among: readonly T[], which: number): T | undefined {
  return among.length === 0 ? undefined : among[which % among.length];
}
