import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { presentRun } from "../test-run.ts";
import { runCampaign } from "./campaign.ts";

const seed = 20_261;

test("fifty faults at moments that a seed chooses break no promise: each connection told once and surely, no address stuck", {
  timeout: 300_000,
}, async () => {
  const outcome = await runCampaign({
    seed,
    faults: 50,
    devices: 6,
    judgeEvery: 50,
    atOnce: 2,
    longestPauseMs: 700,
    evidence: join(presentRun()?.directory ?? tmpdir(), "..", `sallyport-crash-${seed}`),
    say: () => undefined,
  });
  // It broke what it meant to break while people came and went.
  expect(Object.values(outcome.fell).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(45);
  expect(outcome.admitted).toBeGreaterThan(5);
  expect(outcome.wireGuard).toBeGreaterThan(1);
  expect(outcome.tellings).toBeGreaterThan(outcome.admitted * 3);
});
