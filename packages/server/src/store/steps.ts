/** How many rows one call of the store deletes: few enough that whoever waits behind it does not notice. */
export const STEP = 500;
/** How many byte counts one call writes, for the same reason. */
const COUNTS_AT_ONCE = 250;

/** All of it, in calls of their own, so that nobody waits behind a year's worth. */
export async function inSteps(step: () => Promise<number>): Promise<number> {
  for (let done = 0; ; ) {
    const count = await step();
    done += count;
    if (count < STEP) return done;
  }
}

export async function inParts<Item>(items: readonly Item[], work: (part: Item[]) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += COUNTS_AT_ONCE) {
    await work(items.slice(start, start + COUNTS_AT_ONCE));
  }
}
