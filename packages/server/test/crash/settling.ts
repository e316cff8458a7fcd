import { readFile } from "node:fs/promises";
import type { Network, Place } from "../e2e/lab/network.ts";
import { inParallel, until } from "../e2e/lab.ts";
import type { Device } from "./devices.ts";
import type { Target } from "./faults.ts";
import type { KeptDaemon } from "./kept-daemon.ts";
import { leftOnMachine, tunnelsOfOpenVpn, wireGuardPeers } from "./machine.ts";
import type { ToldLog } from "./told.ts";
import {
  broken,
  type Ledger,
  readLedger,
  type Unsettled,
  uninvited,
  unsettled,
  unsettledRows,
  wireGuardKeys,
} from "./verdict.ts";

const settleMs = 60_000;
/** OpenVPN believes for two minutes in a client that vanished unheard, as one does that leaves while it is being asked. */
const vanishedMs = 180_000;
const excusedAfterMs = 2_000;
const clientAddress = /\b10\.4[234]\.0\.(?!0\b|1\b|63\b)\d+/;

/** Everybody comes in once more and leaves, which ends whatever they had; then all there is to tell is told. */
export async function settled(devices: readonly Device[], { target, daemon }: { target: Target; daemon: KeptDaemon }) {
  await daemon.answers();
  await inParallel(devices, 4, (device) => device.visit());
  const began = Date.now();
  let ledger: Ledger | undefined;
  await until(
    "everything to end and to be told",
    async () => {
      ledger = readLedger(target.databaseFile);
      const late = Date.now() - began > settleMs ? await withoutTunnel(unsettledRows(ledger), target.directory) : [];
      if (late.length > 0)
        throw new Error(`not settled after ${settleMs} ms, though OpenVPN has none:\n${late.join("\n")}`);
      return unsettled(ledger).length === 0;
    },
    { deadlineMs: vanishedMs, everyMs: 200, otherwise: () => (ledger ? unsettled(ledger).join("\n") : "") },
  );
  return ledger as Ledger;
}

/** Of what is not over, that which waits for no tunnel that OpenVPN itself still has. */
async function withoutTunnel(rows: readonly Unsettled[], directory: string): Promise<string[]> {
  const tunnels = await tunnelsOfOpenVpn(directory, clientAddress);
  const alive = (address: string | null) =>
    address !== null && tunnels.some((line) => line.split(/[\s,]/).includes(address));
  return rows.filter(({ ipv4 }) => !alive(ipv4)).map(({ what }) => what);
}

export async function judge(
  ledger: Ledger,
  told: ToldLog,
  { target, devices }: { target: Target; devices: readonly Device[] },
): Promise<void> {
  const { daemon, storeFaults } = target;
  const timesIn = new Map(devices.map((device) => [device.name, device.timesIn()]));
  const faultsFound = [...broken(ledger, await told.lines()), ...uninvited(ledger, timesIn)];
  // Without its database it does not start, says so, and is started again.
  const excused = (at: number) => storeFaults.some(({ from, to }) => at >= from && at <= to + excusedAfterMs);
  for (const { at, status, signal, words } of daemon.ownEnds().filter((end) => !excused(end.at)))
    faultsFound.push(`the daemon ended by itself (${signal ?? status}) at ${new Date(at).toISOString()}:\n${words}`);
  if (faultsFound.length > 0) throw new Error(`promises were broken:\n${faultsFound.join("\n")}`);
}

/** WireGuard has the peers that the ledger has, no more and no fewer. */
export async function expectPeersKnown(server: Place, { daemon, databaseFile, interfaces }: Target): Promise<void> {
  await daemon.answers();
  for (const [profileId, trigger] of [["mobile", "config"] as const, ["roaming", "handshake"] as const]) {
    let [known, there]: string[][] = [];
    await until(
      `WireGuard's peers of ${profileId} to be those of the ledger`,
      async () => {
        known = wireGuardKeys(readLedger(databaseFile), profileId, trigger);
        there = await wireGuardPeers(server, interfaces[profileId]);
        return known.join() === there.join();
      },
      {
        deadlineMs: settleMs,
        everyMs: 200,
        otherwise: () => `the ledger has ${known?.join(", ")};\nWireGuard has ${there?.join(", ")}`,
      },
    );
  }
}

export async function expectNobodyIn(server: Place, directory: string): Promise<void> {
  let left: string[] = [];
  await until(
    "the machine to have nothing left of clients",
    async () => {
      left = await leftOnMachine({ server, directory, clientAddress });
      return left.length === 0;
    },
    { everyMs: 500, otherwise: () => left.join("\n") },
  );
}

/** When the daemon has ended properly, nothing runs in the server's namespace any more, whoever's child it is by now. */
export async function expectNothingLeft(daemon: KeptDaemon, network: Network): Promise<void> {
  const status = await daemon.stop();
  if (status !== 0) throw new Error(`the daemon ended with status ${status}\n${daemon.output().slice(-3_000)}`);
  let left: string[] = [];
  const look = async () => {
    const pids = await network.processesIn(network.server);
    const commands = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""));
    left = (await Promise.all(commands)).map((command, index) => `${pids[index]} ${command.replaceAll("\0", " ")}`);
    return left.length === 0;
  };
  await until("every process of the daemon to be gone", look, { deadlineMs: 15_000, otherwise: () => left.join("\n") });
}
