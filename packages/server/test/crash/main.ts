/**
 * The long crash campaign: `make crash`, or `make crash FAULTS=200 SEED=7`. Exit status 1 where a promise was broken:
 * what is printed then says how to walk the same way again.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beginRun, sweep } from "../test-run.ts";
import { runCampaign } from "./campaign.ts";

const number = (name: string, otherwise: number) => {
  const text = process.env[name] || `${otherwise}`;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    console.error(`${name} must be a whole number from 1, not ${text}`);
    process.exit(2);
  }
  return value;
};
const seed = number("SEED", (Date.now() % 1_000_000) + 1);
const faults = number("FAULTS", 5_000);
const evidence = join(tmpdir(), `sallyport-crash-${seed}`);
const run = await beginRun();
console.log(`${faults} faults with seed ${seed}`);
const began = Date.now();
try {
  const outcome = await runCampaign({
    seed,
    faults,
    devices: number("DEVICES", 8),
    judgeEvery: number("JUDGE_EVERY", 50),
    atOnce: 2,
    longestPauseMs: 900,
    evidence,
    say: (line) => console.log(`${new Date().toISOString()} ${line}`),
  });
  console.log(`every promise was kept, in ${Math.round((Date.now() - began) / 1_000)} s:`, outcome);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await sweep(run);
}
process.exit();
