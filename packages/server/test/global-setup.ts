import { beginRun, leftovers, networkNames, presentRun, sweep } from "./test-run.ts";

/** Runs around all tests: whatever they leave behind is named, removed, and fails the run. */
export default async function setUp(): Promise<(() => Promise<void>) | undefined> {
  // Each vitest project calls this; the first one owns the run.
  if (presentRun() !== undefined) return undefined;
  const before = await networkNames();
  const run = await beginRun();
  return async () => {
    const left = await leftovers(run, before);
    await sweep(run);
    if (left.length > 0) throw new Error(`The tests left behind:\n  ${left.join("\n  ")}`);
  };
}
