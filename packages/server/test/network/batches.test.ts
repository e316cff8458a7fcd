import { expect, test } from "vitest";
import { Batches, WaitedTooLong } from "../../src/network/linux/batches.ts";

function recording(options: { fail?: (item: string) => boolean; most?: number; pauseMs?: number } = {}) {
  const taken: string[][] = [];
  let go: () => void = () => undefined;
  const gates: Promise<void>[] = [];
  const batches = new Batches<string>({
    apply: async (items) => {
      taken.push(items);
      await gates.shift();
      return items.map((item) => (options.fail?.(item) ? new Error(`not ${item}`) : null));
    },
    pauseMs: options.pauseMs ?? 0,
    most: options.most ?? 100,
  });
  const hold = () => {
    gates.push(
      new Promise((resolve) => {
        go = resolve;
      }),
    );
  };
  return { batches, taken, hold, go: () => go() };
}

test("what arrives together, or while work is under way, is done together and in order", async () => {
  const { batches, taken, hold, go } = recording();
  hold();
  const first = [batches.submit("a"), batches.submit("b")];
  await new Promise(setImmediate);
  const later = [batches.submit("c"), batches.submit("d"), batches.submit("e")];
  go();
  expect(await Promise.all([...first, ...later])).toEqual([null, null, null, null, null]);
  expect(taken).toEqual([
    ["a", "b"],
    ["c", "d", "e"],
  ]);
});

test("each hears its own outcome", async () => {
  const { batches } = recording({ fail: (item) => item === "b" });
  const outcomes = await Promise.all(["a", "b", "c"].map((item) => batches.submit(item)));
  expect(outcomes.map((outcome) => outcome?.message ?? null)).toEqual([null, "not b", null]);
});

test("work that throws fails its batch alone", async () => {
  let thrown = false;
  const batches = new Batches<string>({
    apply: async (items) => {
      if (!thrown) {
        thrown = true;
        throw new Error("broken");
      }
      return items.map(() => null);
    },
    pauseMs: 0,
    most: 10,
  });
  expect((await batches.submit("a"))?.message).toBe("broken");
  expect(await batches.submit("b")).toBeNull();
});

test("a batch has a bound", async () => {
  const { batches, taken } = recording({ most: 2 });
  await Promise.all(["a", "b", "c", "d", "e"].map((item) => batches.submit(item)));
  expect(taken).toEqual([["a", "b"], ["c", "d"], ["e"]]);
});

test("what waited longer than it may is not done any more", async () => {
  const { batches, taken, hold, go } = recording();
  hold();
  const first = batches.submit("a");
  await new Promise(setImmediate);
  const late = batches.submit("b", -1);
  const patient = batches.submit("c");
  go();
  expect(await late).toBeInstanceOf(WaitedTooLong);
  expect(await Promise.all([first, patient])).toEqual([null, null]);
  expect(taken).toEqual([["a"], ["c"]]);
});

test("idle is when everything was done", async () => {
  const { batches, hold, go } = recording();
  hold();
  let done = false;
  const work = batches.submit("a");
  const idle = batches.idle().then(() => {
    done = true;
  });
  await new Promise(setImmediate);
  expect(done).toBe(false);
  go();
  await Promise.all([work, idle]);
  await batches.idle();
});
