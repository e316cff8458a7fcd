import { setTimeout as sleep } from "node:timers/promises";

/** Asks again and again until the answer is neither undefined nor false; says what was waited for when time is over. */
export async function until<Answer>(
  what: string,
  ask: () => Answer | Promise<Answer>,
  options: { deadlineMs?: number; everyMs?: number; otherwise?: () => string } = {},
): Promise<Exclude<Answer, undefined | false>> {
  const { deadlineMs = 60_000, everyMs = 50, otherwise = () => "" } = options;
  const end = Date.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as Exclude<Answer, undefined | false>;
    if (Date.now() > end) throw new Error(`Waited ${deadlineMs} ms in vain: ${what}\n${otherwise()}`);
    await sleep(everyMs);
  }
}

/** Runs `work` on every item, at most `width` at once, and gives the results in order. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  width: number,
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) {
      results[index] = await work(items[index] as Item, index);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
