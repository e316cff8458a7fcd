import { describe, expect, it } from "vitest";
import { SallyportError } from "../../src/core/errors.ts";
import type { DeliveryStore, Store } from "../../src/store/store.ts";
import { until } from "../waiting.ts";
import { crashed, ledger, passThrough, settled, start } from "./delivering.ts";
import { listener } from "./hook.ts";

describe("a hook that is no longer configured", () => {
  it("has its deliveries given up with the reason, and gets them when it is back and they are retried", async () => {
    const siem = listener({ name: "siem", retry: { attempts: 9, firstWaitMs: 50, longestWaitMs: 50 } }, () => crashed);
    const hooks = await start([siem]);
    const { id } = await ledger.admitted(hooks.observers());
    hooks.wake();
    await until("it has failed once", () => siem.told.length > 0);
    hooks.replace([]);
    const [given] = await settled(id, 1);
    expect(given).toMatchObject({
      state: "failed",
      error: expect.stringContaining("hook siem is no longer configured"),
    });
    const retried = () => hooks.operations.retry(given?.id ?? "");
    await expect(retried()).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("not configured"),
    });
    const back = listener({ name: "siem" });
    hooks.replace([back]);
    await retried();
    await until("it is told", () => back.told.length === 1);
    expect(back.told).toMatchObject([{ event: "C", sessionId: id, attempt: 1 }]);
  });
});

describe("a broken store", () => {
  type Method = "takeDue" | "finish" | "nextDueAt";

  /** Fails the first calls of the methods named. */
  function failing(counts: Partial<Record<Method | "get", number>>): {
    store: Pick<Store, "ledger" | "deliveries">;
    failures: number;
  } {
    const left = { ...counts };
    const broken = { failures: 0, store: ledger.store as Pick<Store, "ledger" | "deliveries"> };
    const guard = <F extends (...args: never[]) => Promise<unknown>>(name: Method | "get", method: F): F =>
      ((...args: Parameters<F>) => {
        if ((left[name] ?? 0) <= 0) return method(...args);
        left[name] = (left[name] ?? 0) - 1;
        broken.failures += 1;
        return Promise.reject(new SallyportError("store-unavailable", "disk full"));
      }) as F;
    const { deliveries, ledger: rows } = ledger.store;
    const guarded: DeliveryStore = {
      ...deliveries,
      takeDue: guard("takeDue", deliveries.takeDue),
      finish: guard("finish", deliveries.finish),
      nextDueAt: guard("nextDueAt", deliveries.nextDueAt),
    };
    broken.store = { deliveries: guarded, ledger: { ...rows, get: guard("get", rows.get) } };
    return broken;
  }

  it.each([{ takeDue: 2 }, { nextDueAt: 2 }, { finish: 2 }])("%j delays deliveries and loses none", async (counts) => {
    const siem = listener({ name: "siem" });
    const broken = failing(counts);
    const hooks = await start([siem], { store: broken.store });
    const id = await passThrough(hooks);
    await settled(id, 2);
    expect(broken.failures).toBeGreaterThan(0);
    expect(siem.told.map(({ event, attempt }) => `${event}${attempt}`)).toEqual(["C1", "D1"]);
  });

  it("that cannot be read for one delivery has it tried again later", async () => {
    const siem = listener({ name: "siem", events: ["connect"] });
    const broken = failing({ get: 1 });
    let aheadMs = 0;
    const hooks = await start([siem], { store: broken.store, clock: () => Date.now() + aheadMs });
    const { id } = await ledger.admitted(hooks.observers());
    hooks.wake();
    await until("it waits again", async () => {
      const [delivery] = await ledger.deliveries(id);
      return delivery?.state === "waiting" && delivery.error?.includes("disk full");
    });
    aheadMs = 60_000;
    hooks.wake();
    await settled(id, 1);
    expect(siem.told).toMatchObject([{ event: "C", attempt: 2 }]);
  });

  it("keeps the daemon from starting", async () => {
    const { store } = ledger;
    const dead = {
      ...store,
      deliveries: { ...store.deliveries, abandonRunning: () => Promise.reject(new Error("no")) },
    };
    await expect(start([], { store: dead })).rejects.toThrow("no");
  });
});

describe("stopping", () => {
  it("delivers first what is due", async () => {
    const siem = listener({ name: "siem" });
    const hooks = await start([siem]);
    const connections = await Promise.all(Array.from({ length: 12 }, () => ledger.admitted(hooks.observers())));
    for (const { id } of connections) await ledger.end(id, hooks.subscribers(), "shutdown");
    await hooks.stop(20_000);
    expect(siem.told.filter(({ event }) => event === "D")).toHaveLength(12);
  });

  it("does not wait for what will be retried later", async () => {
    const retry = { attempts: 5, firstWaitMs: 3_600_000, longestWaitMs: 3_600_000 };
    const siem = listener({ name: "siem", retry }, () => crashed);
    const hooks = await start([siem]);
    const { id } = await ledger.admitted(hooks.observers());
    hooks.wake();
    await until("it has failed", async () => (await ledger.deliveries(id))[0]?.error === "it crashed");
    await hooks.stop(3_600_000);
    expect(await ledger.deliveries(id)).toMatchObject([{ state: "waiting" }]);
  });

  it("is over though a hook neither answers nor gives up", async () => {
    const deaf = listener({ name: "deaf" }, () => new Promise(() => {}));
    const hooks = await start([deaf]);
    await ledger.admitted(hooks.observers());
    hooks.wake();
    await until("it is being told", () => deaf.told.length === 1);
    await hooks.stop(10);
  });

  it("takes nothing more", async () => {
    const siem = listener({ name: "siem" });
    const hooks = await start([siem]);
    await hooks.stop(1_000);
    const { id } = await ledger.admitted(["siem"]);
    hooks.wake();
    expect(await ledger.deliveries(id)).toMatchObject([{ state: "waiting", attempts: 0 }]);
    expect(siem.told).toEqual([]);
  });
});
