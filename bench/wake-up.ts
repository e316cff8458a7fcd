/**
 * How long a client waits between our yes and its tunnel being up, over UDP, with the wake-up and without it: the real
 * openvpn server, driven by the real driver, and a stock client, in network namespaces. Needs root.
 *
 *     node_modules/.bin/node bench/wake-up.ts [RUNS]
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Tunnel } from "../packages/server/src/core/vpn-event.ts";
import { admissionOf, openDriverLab } from "../packages/server/test/drivers/openvpn/lab.ts";
import { beginRun, sweep } from "../packages/server/test/test-run.ts";

/** A fast sign-in, and one that waits for something. Without the wake-up it matters where between two packets it falls. */
const answersAfterMs = [50, 1_200];
const runs = Number(process.argv[2] ?? 9);
const leastRatio = 100;

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Milliseconds from the answer to ESTABLISHED, one client after the other, sorted. */
async function measure(wakeUp: boolean, answerAfterMs: number): Promise<number[]> {
  await using lab = await openDriverLab();
  const { driver, told } = lab.life({ wakeUp });
  const upAt = new Map<string, number>();
  const established = (tunnel: Tunnel) => {
    upAt.set(tunnel.key, performance.now());
    told.events.established(tunnel);
  };
  await driver.start({ ...told.events, established });
  const waits: number[] = [];
  for (let run = 1; run <= runs; run++) {
    const client = await lab.client(`client${run}`);
    const { tunnel } = await told.nthAsked(run);
    await pause(answerAfterMs);
    const answeredAt = performance.now();
    await driver.admit(tunnel, admissionOf(run));
    await told.nthEstablished(run);
    waits.push((upAt.get(tunnel.key) ?? Number.NaN) - answeredAt);
    await client.kill();
  }
  return waits.sort((a, b) => a - b);
}

const run = await beginRun();
try {
  const rows = [];
  for (const answerAfterMs of answersAfterMs) {
    const plain = await measure(false, answerAfterMs);
    const woken = await measure(true, answerAfterMs);
    rows.push({ answerAfterMs, plain, woken, ratio: percentile(plain, 0.5) / percentile(woken, 0.5) });
  }
  console.log(`From our answer to ESTABLISHED over UDP, ${runs} clients each:`);
  for (const { answerAfterMs, plain, woken, ratio } of rows) {
    const text = (waits: number[]) =>
      `${percentile(waits, 0.5).toFixed(1)} ms (slowest ${waits.at(-1)?.toFixed(1)} ms)`;
    console.log(
      `  answered after ${answerAfterMs} ms: plain ${text(plain)}, with the wake-up ${text(woken)}, ratio ${ratio.toFixed(0)}`,
    );
  }
  if (rows.some(({ ratio }) => ratio < leastRatio)) {
    console.log(`Less than ${leastRatio}: is this machine busy?`);
    process.exitCode = 1;
  }
} finally {
  await sweep(run);
}
