/*
 * Memory and CPU time that the daemon takes for each session at 2,000 of them, and how long it takes to adopt 5,000
 * after it was killed, against reading them from the store. A simulated peer stands in for openvpn (no encryption, no
 * packets); the daemon, its store and the machine's routes and rules are real.
 */

import { X509Certificate } from "node:crypto";
import { chmod, copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { openStore } from "../packages/server/src/compose/store.ts";
import { loadConfig } from "../packages/server/src/config/load.ts";
import { type Child, startChild } from "../packages/server/test/e2e/lab/child.ts";
import { inside } from "../packages/server/test/e2e/lab/network.ts";
import { type Lab, openLab, until } from "../packages/server/test/e2e/lab.ts";
import { median, numberOption, ratio, shown } from "./figures.ts";
import { cpuMs, familyOf } from "./processes.ts";

const sessions = numberOption("sessions", 2_000);
const adopted = numberOption("adopted", 5_000);
const idleSeconds = numberOption("seconds", 35);

const script = `
from pyovpn.plugin import *
AUTH_NULL = True

def post_auth(authcred, attributes, authret, info):
    authret["status"] = SUCCEED
    return authret
`;
const profile = {
  id: "office",
  displayName: "Office",
  openvpn: { managed: { listen: ["udp/1194"] } },
  ranges: { ipv4: "10.42.0.0/16" },
};

await memoryAndCpu();
await adoption();

async function memoryAndCpu(): Promise<void> {
  await using lab = await openLab({ config: { profiles: [profile], connectScriptPath: undefined } });
  const program = await simulated(lab);
  await prepare(lab, program, 0);
  let daemon = await start(lab, program);
  const before = await residentKiB(daemon.pid);
  const cpuBefore = await cpuOver(daemon.pid);
  await daemon.end("SIGTERM", 60_000);
  await writeSessions(lab, sessions);
  daemon = await start(lab, program);
  const began = performance.now();
  await established(lab, sessions, daemon);
  const took = performance.now() - began;
  // The last of the start-up work, and what it leaves for the collector.
  await pause(3_000);
  const cpu = await cpuOver(daemon.pid);
  const after = await residentKiB(daemon.pid);
  console.log(`${sessions} sessions were there after ${shown(took / 1_000)} s`);
  console.log(
    `memory: ${shown(before / 1_024)} MiB without, ${shown(after / 1_024)} MiB with: ${shown((after - before) / sessions)} KiB a session`,
  );
  console.log(
    `CPU over ${idleSeconds} s: ${shown(cpuBefore)} ms without, ${shown(cpu)} ms with: ${shown(((cpu - cpuBefore) * 1_000) / sessions / idleSeconds)} µs a session and second`,
  );
  ratio("memory with all sessions against without", after / before);
  await daemon.end("SIGTERM", 60_000);
}

async function adoption(): Promise<void> {
  await using lab = await openLab({ config: { profiles: [profile], connectScriptPath: undefined } });
  const program = await simulated(lab);
  await prepare(lab, program, adopted);
  let daemon = await start(lab, program);
  await established(lab, adopted, daemon);
  const [adoptions, readings]: [number[], number[]] = [[], []];
  for (let round = 0; round < 3; round++) {
    await daemon.end("SIGKILL");
    readings.push(await readingMs(lab));
    daemon = await start(lab, program);
    const lines = daemon.output().split("\n");
    const at = (message: string) => {
      const line = lines.find((one) => one.includes(message)) ?? "{}";
      return new Date(JSON.parse(line).time).getTime();
    };
    if (!daemon.output().includes(`"kept":${adopted}`))
      throw new Error(`not all were adopted\n${daemon.output().slice(0, 3_000)}`);
    adoptions.push(at("attached to openvpn") - at("found a running openvpn"));
  }
  console.log(
    `adopting ${adopted}: ${shown(median(adoptions))} ms; reading them from the store: ${shown(median(readings))} ms`,
  );
  ratio("adopting against reading from the store", median(adoptions) / median(readings));
  await daemon.end("SIGTERM", 60_000);
}

/** As the daemon does: another thread reads, and rows become connections. */
async function readingMs(lab: Lab): Promise<number> {
  const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const store = await openStore(await loadConfig({ file: lab.configFile, environment: process.env }), quiet);
  await store.ledger.get("none");
  const began = performance.now();
  const rows = await store.ledger.unfinished({ nodeNumber: 7 });
  const took = performance.now() - began;
  await store.close();
  if (rows.length !== adopted) throw new Error(`${rows.length} rows are in the store`);
  return took;
}

/** The program in openvpn's place. */
async function simulated(lab: Lab): Promise<string> {
  const main = join(lab.directory, "simulated-openvpn.ts");
  await copyFile(join(import.meta.dirname, "simulated-openvpn.ts"), main);
  const program = join(lab.directory, "openvpn");
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  await chmod(program, 0o755);
  return program;
}

async function prepare(lab: Lab, program: string, count: number): Promise<void> {
  await writeSessions(lab, 0);
  const daemon = await start(lab, program);
  await writeFile(join(lab.directory, "open.py"), script);
  await lab.succeed(["post-auth", "add", "open", join(lab.directory, "open.py")]);
  await lab.succeed(["post-auth", "activate", "open"]);
  const text = await lab.succeed(["client-config", "issue", "--kind", "server-locked", "--profile", "office"]);
  await writeFile(join(lab.directory, "device.ovpn"), text);
  await daemon.end("SIGTERM", 60_000);
  await writeSessions(lab, count);
}

async function writeSessions(lab: Lab, count: number): Promise<void> {
  const text = await readFile(join(lab.directory, "device.ovpn"), "utf8").catch(() => undefined);
  const pem = /<cert>\s*([\s\S]*?)\s*<\/cert>/.exec(text ?? "")?.[1];
  const certificate = pem === undefined ? undefined : new X509Certificate(pem);
  const serial = certificate === undefined ? "1" : BigInt(`0x${certificate.serialNumber}`).toString();
  const commonName = /^CN=(.*)$/m.exec(certificate?.subject ?? "")?.[1] ?? "nobody";
  await writeFile(
    join(lab.directory, "sessions.json"),
    JSON.stringify({ sessions: count, atOnce: 64, serial, commonName }),
  );
}

async function start(lab: Lab, program: string): Promise<Child> {
  const host = join(import.meta.dirname, "../packages/server/test/e2e/lab/bounded-daemon.ts");
  const daemon = await startChild(
    inside(lab.network.server, [process.execPath, host, lab.configFile, "2000", program]),
  );
  await until("the daemon to answer", async () => (await lab.sallyport(["connection", "list"])).status === 0, {
    deadlineMs: 60_000,
    otherwise: () => daemon.output(),
  });
  return daemon;
}

async function established(lab: Lab, count: number, daemon: Child): Promise<void> {
  await until(`${count} sessions`, async () => (daemon.output().match(/"msg":"admitted"/g) ?? []).length >= count, {
    deadlineMs: 20_000 + count * 40,
    everyMs: 500,
    otherwise: () => daemon.output().slice(-1_500),
  });
  const rows = await lab.json<unknown[]>(["connection", "list"]);
  console.log(`(${rows.length} connections are listed)`);
}

async function residentKiB(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1]);
}

/** Of the daemon and its children, while nothing happens. */
async function cpuOver(pid: number): Promise<number> {
  const pids = (await familyOf(pid)).slice(0, 1);
  const before = await cpuMs(pids);
  await pause(idleSeconds * 1_000);
  return (await cpuMs(pids)) - before;
}
