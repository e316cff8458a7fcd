/*
 * 10,000 peers put on a WireGuard interface by the driver, as after a restart, against one `wg syncconf` of the same
 * peers; then one more peer among them, from its request to the yes, against one `wg set`. A real wireguard-go in a
 * network namespace of its own; the driver's time has its reading of the interface and the comparison in it.
 */

import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { promisify } from "node:util";
import { Secret } from "../packages/server/src/core/secret.ts";
import type { DriverEvents } from "../packages/server/src/drivers/driver.ts";
import { createWireGuardDriver, type ExpectedPeer } from "../packages/server/src/drivers/wireguard/wireguard-driver.ts";
import { inTurns, median, numberOption, quantile, ratio, shown } from "./figures.ts";

const execute = promisify(execFile);
const count = numberOption("peers", 10_000);
const rounds = numberOption("rounds", 5);
const singles = numberOption("singles", 50);
const name = `spb${process.ppid.toString(36)}${process.pid.toString(36)}`.slice(0, 15);

if (process.env.SALLYPORT_BENCH_INSIDE === undefined) inNamespace();
else await measure();

/** The interface is made where this program runs: it starts itself again in a namespace. */
function inNamespace(): void {
  spawnSync("ip", ["netns", "add", name], { stdio: "inherit" });
  const command = ["netns", "exec", name, process.execPath, ...process.argv.slice(1)];
  const { status } = spawnSync("ip", command, {
    stdio: "inherit",
    env: { ...process.env, SALLYPORT_BENCH_INSIDE: "1" },
  });
  spawnSync("ip", ["netns", "delete", name], { stdio: "inherit" });
  process.exitCode = status ?? 1;
}

async function measure(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "wireguard-peers-"));
  const peers = Array.from({ length: count }, (_, index) => peerNumber(index));
  const file = join(directory, "peers.conf");
  const privateKey = keyNumber("server");
  await writeFile(file, configOf(peers, privateKey));
  let expected: ExpectedPeer[] = [];
  const problems: string[] = [];
  const say = (fields: object, message: string) => void problems.push(`${message} ${JSON.stringify(fields)}`);
  const driver = createWireGuardDriver({
    interfaces: [
      {
        profileId: "mobile",
        interface: name,
        directory: join(directory, "state"),
        mode: { kind: "managed", listenPort: 51_820, privateKey: new Secret(privateKey), addresses: ["10.0.0.1/8"] },
        trigger: "config",
        silenceMs: 180_000,
        // Nothing is read beside what is measured.
        pollIntervalMs: 3_600_000,
      },
    ],
    expected: async () => expected,
    isOurs: async () => true,
    shookHands: () => undefined,
    observed: () => undefined,
    log: { debug: () => undefined, info: () => undefined, warn: say, error: say },
  });
  const events: DriverEvents = {
    asked: ({ tunnel, clientInfo }) => {
      const ipv4 = { address: clientInfo.four ?? "", prefixLength: 8, gateway: "10.0.0.1" };
      void driver.admit(tunnel, { kind: "connect", ipv4, ipv6: null, routes: [], dns: [] });
    },
    established: () => undefined,
    traffic: () => undefined,
    gone: () => undefined,
    attached: async () => undefined,
  };
  try {
    await driver.start(events);
    const empty = async () => {
      expected = [];
      await driver.synchronise("mobile");
      // Whoever was told gone comes back only once they were not expected.
      await driver.synchronise("mobile");
      await expectPeers(0);
    };
    const stops: number[] = [];
    const results = await inTurns(rounds, {
      driver: async () => {
        await empty();
        expected = peers;
        const delay = monitorEventLoopDelay({ resolution: 1 });
        delay.enable();
        const took = await timed(() => driver.synchronise("mobile"));
        delay.disable();
        stops.push(delay.max / 1e6);
        await expectPeers(count);
        return took;
      },
      syncconf: async () => {
        await empty();
        const took = await timed(() => execute("wg", ["syncconf", name, file]));
        await expectPeers(count);
        return took;
      },
    });
    const [ours, theirs] = [median(results.driver), median(results.syncconf)];
    console.log(`${count} peers: driver ${shown(ours)} ms, wg syncconf ${shown(theirs)} ms`);
    console.log(`the driver's event loop meanwhile: longest stop ${shown(median(stops))} ms`);
    ratio("restoring all peers against one wg syncconf", ours / theirs, { atMost: 1.3 });

    // From here on all of them are the driver's.
    expected = peers;
    await driver.synchronise("mobile");
    let next = count;
    const one = await inTurns(singles, {
      driver: () => timed(() => ask(next++)),
      set: () => {
        const { publicKey, allowedIps } = peerNumber(next++);
        return timed(() => execute("wg", ["set", name, "peer", publicKey, "allowed-ips", allowedIps.join(",")]));
      },
    });
    console.log(
      `one peer among ${count}: driver ${shown(median(one.driver))} ms, p99 ${shown(quantile(one.driver, 0.99))}; wg set ${shown(median(one.set))} ms`,
    );
    ratio("one peer added against one wg set", median(one.driver) / median(one.set));
  } finally {
    await driver.stop("end");
    await rm(directory, { recursive: true, force: true });
    for (const problem of problems.slice(0, 5)) console.error(problem);
  }

  async function ask(index: number): Promise<void> {
    const { publicKey, allowedIps } = peerNumber(index);
    const { outcome } = await driver.request({
      tunnel: { profileId: "mobile", listener: name, key: publicKey },
      peer: { publicKey, presharedKey: null },
      username: "alice",
      password: undefined,
      certificate: undefined,
      clientAddress: "192.0.2.7",
      clientPort: undefined,
      hardwareAddress: undefined,
      clientInfo: { four: allowedIps[0]?.split("/")[0] ?? "" },
      certificateFields: {},
    });
    if (outcome !== "admitted") throw new Error(outcome);
  }
}

async function expectPeers(expected: number): Promise<void> {
  const { stdout } = await execute("wg", ["show", name, "peers"], { maxBuffer: 64 * 1024 * 1024 });
  const found = stdout.split("\n").filter(Boolean).length;
  if (found !== expected) throw new Error(`${found} peers are on the interface, and not ${expected}`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function keyNumber(what: number | string): string {
  return createHash("sha256").update(`${what}`).digest("base64");
}

function peerNumber(index: number): ExpectedPeer {
  const bytes = [(index >> 16) & 255, (index >> 8) & 255, index & 255];
  const allowedIps = [`10.${(bytes[0] ?? 0) + 1}.${bytes[1]}.${bytes[2]}/32`, `fd43:1::${index.toString(16)}:1/128`];
  return { publicKey: keyNumber(index), presharedKey: new Secret(keyNumber(`shared ${index}`)), allowedIps };
}

function configOf(peers: readonly ExpectedPeer[], privateKey: string): string {
  const lines = peers.flatMap(({ publicKey, presharedKey, allowedIps }) => [
    "[Peer]",
    `PublicKey = ${publicKey}`,
    `PresharedKey = ${presharedKey?.reveal()}`,
    `AllowedIPs = ${allowedIps.join(", ")}`,
  ]);
  return ["[Interface]", `PrivateKey = ${privateKey}`, "ListenPort = 51820", ...lines, ""].join("\n");
}
