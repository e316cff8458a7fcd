import { spawnSync } from "node:child_process";
import { dirname, resolve } from "node:path";
import { beginRun, leftovers, networkNames, presentRun, sweep } from "./test-run.ts";

const mostNamed = 20;

/** Runs around all tests: whatever they leave behind is named, removed, and fails the run. */
export default async function setUp(): Promise<(() => Promise<void>) | undefined> {
  // Each vitest project calls this; the first one owns the run.
  if (presentRun() !== undefined) return undefined;
  const before = await networkNames();
  const run = await beginRun();
  let finished = false;
  // An interrupted run ends without the teardown below.
  process.once("exit", () => {
    if (finished) return;
    const program = resolve(import.meta.dirname, "sweep-dead-runs.ts");
    const env = { ...process.env, TMPDIR: dirname(run.directory), SALLYPORT_TEST_RUN: undefined };
    spawnSync(process.execPath, [program, run.id], { env, stdio: "inherit" });
  });
  return async () => {
    const left = await leftovers(run, before);
    await sweep(run);
    finished = true;
    const more = left.length > mostNamed ? [`and ${left.length - mostNamed} more`] : [];
    const named = [...left.slice(0, mostNamed), ...more].map((thing) => `  ${thing.slice(0, 200)}`);
    if (left.length > 0) throw new Error(`The tests left behind:\n${named.join("\n")}`);
  };
}
