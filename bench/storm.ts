/*
 * Hundreds of sign-ins wait in a script; how long others take meanwhile (p99), and packets in a tunnel that is up (p90),
 * each against the same without them. Then as many connects as possible at once: each is answered or told when to come
 * back. Clients run on the same machine: starting them takes longer than serving them.
 */
import { execFile } from "node:child_process";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { type LightClient, lightClients } from "../packages/server/test/e2e/lab/light-clients.ts";
import { inside, type Place } from "../packages/server/test/e2e/lab/network.ts";
import { openLab, until } from "../packages/server/test/e2e/lab.ts";
import { median, numberOption, quantile, ratio, shown } from "./figures.ts";

const execute = promisify(execFile);
const waitingCount = numberOption("waiting", 500);
const waitSeconds = numberOption("wait-seconds", 30);
const others = numberOption("others", 60);
const rounds = numberOption("rounds", 5);
const stormCount = numberOption("storm", 500);
const pings = 200;

/** Whoever is called waiting-… waits, and says so by a file, until there is a file `released`. */
const script = `
import os, time
from pyovpn.plugin import *
AUTH_NULL = True

def post_auth(authcred, attributes, authret, info):
    user = authcred["username"]
    if user.startswith("waiting-"):
        open(user, "w").close()
        while not os.path.exists("released"):
            time.sleep(1)
    authret["status"] = SUCCEED
    return authret
`;

await using lab = await openLab({
  config: { connectScriptPath: undefined, scripts: { deadlineMs: 54_000 } },
});
await lab.daemon.start();
const scripts = join(lab.dataDirectory, "scripts");
await writeFile(join(lab.directory, "waiting.py"), script);
await lab.succeed(["post-auth", "add", "waiting", join(lab.directory, "waiting.py")]);
await lab.succeed(["post-auth", "activate", "waiting"]);
const ovpnText = await lab.succeed(["client-config", "issue", "--kind", "server-locked", "--profile", "office"]);
const light = await lightClients(lab, ovpnText);
const tunnel = await lab.client({ ovpnText, user: "tunnel", password: "not asked for" });
await tunnel.connected();

let named = 0;
let lostWaiting = 0;
const names = (kind: string, count: number) => Array.from({ length: count }, () => `${kind}-${named++}`);

await measure();
const [p99Ratios, pingRatios]: [number[], number[]] = [[], []];
for (let round = 0; round < rounds; round++) {
  const before = await measure();
  const began = performance.now();
  const waiting = await startAll(names("waiting", waitingCount));
  const waitingNow = async () => (await readdir(scripts)).filter((name) => name.startsWith("waiting-")).length;
  await until("all to wait", async () => (await waitingNow()) >= waitingCount, {
    deadlineMs: 52_000,
    everyMs: 500,
    otherwise: () => `${lab.daemon.output().slice(-2_000)}`,
  });
  const during = await measure();
  const stillWaiting = await waitingNow();
  await pause(Math.max(0, waitSeconds * 1_000 - (performance.now() - began)));
  await writeFile(join(scripts, "released"), "");
  const outcomes = await Promise.all(waiting.map(({ done }) => done));
  const counted = Object.groupBy(outcomes, ({ outcome }) => outcome);
  const told = Object.entries(counted).map(([outcome, list]) => `${list.length} ${outcome}`);
  console.log(
    `round ${round + 1}: ${stillWaiting} waited (then ${told.join(", ")}); others' p99 ${shown(before.p99)} ms, then ${shown(during.p99)} ms; ping p90 ${shown(before.ping)} ms, then ${shown(during.ping)} ms`,
  );
  const lost = outcomes.filter(({ outcome }) => outcome === "lost");
  lostWaiting += lost.length;
  if (lost[0] !== undefined) console.log(lost[0].log);
  p99Ratios.push(during.p99 / before.p99);
  pingRatios.push(during.ping / before.ping);
  for (const name of await readdir(scripts)) await rm(join(scripts, name));
}
ratio(`others' p99 with ${waitingCount} waiting against without`, median(p99Ratios), { atMost: 3 });
ratio(`tunnel ping p90 with ${waitingCount} waiting against idle`, median(pingRatios), { atMost: 3 });
ratio("lost of those that waited", lostWaiting, { atMost: 0 });

const storm = await Promise.all((await startAll(names("storm", stormCount))).map(({ done }) => done));
const lost = storm.filter(({ outcome }) => outcome === "lost" || outcome === "refused");
const sentBack = storm.filter(({ outcome }) => outcome === "sent-back").length;
console.log(
  `storm of ${stormCount}: ${stormCount - lost.length - sentBack} in, ${sentBack} told to come back, ${lost.length} lost; p99 ${shown(
    quantile(
      storm.map(({ ms }) => ms),
      0.99,
    ),
  )} ms`,
);
ratio("lost in the storm", lost.length, { atMost: 0 });
if (lost[0] !== undefined) console.log(lost[0].log);

/** One after the other as fast as they start; what clients and the daemon say is read in between. */
async function startAll(users: readonly string[]): Promise<LightClient[]> {
  const started: LightClient[] = [];
  for (const user of users) {
    started.push(light.start(user));
    await nextTurn();
  }
  return started;
}

/** Idle ping first, as nobody else is there; then sign-ins, two at once, and their p99. */
async function measure(): Promise<{ p99: number; ping: number }> {
  const ping = await pingP90(tunnel.place);
  const results = await light.all(names("other", others), 2);
  const failed = results.find(({ outcome }) => outcome !== "connected");
  if (failed !== undefined) throw new Error(`one of the others was ${failed.outcome}\n${failed.log}`);
  return {
    p99: quantile(
      results.map(({ ms }) => ms),
      0.99,
    ),
    ping,
  };
}

async function pingP90(place: Place): Promise<number> {
  const words = inside(place, ["ping", "-n", "-i", "0.02", "-c", `${pings}`, "10.42.0.1"]);
  const { stdout } = await execute(words[0] ?? "", words.slice(1));
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map((found) => Number(found[1]));
  if (times.length < pings * 0.9) throw new Error(`only ${times.length} of ${pings} pings were answered`);
  return quantile(times, 0.9);
}
