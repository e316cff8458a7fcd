import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { inParallel, openLab } from "../e2e/lab.ts";
import { type Device, openVpnDevice } from "./devices.ts";
import { faults, ours, type Target, weights } from "./faults.ts";
import { databaseOf, type KeptDaemon, keepDaemon } from "./kept-daemon.ts";
import { Random } from "./random.ts";
import { expectNobodyIn, expectNothingLeft, expectPeersKnown, judge, settled } from "./settling.ts";
import { mountSmallDisk } from "./small-disk.ts";
import { writeToldLog } from "./told.ts";
import { copyDatabase, readLedger } from "./verdict.ts";
import { wireGuardDevice } from "./wireguard-devices.ts";

export type CampaignOptions = {
  seed: number;
  faults: number;
  devices: number;
  /** After so many faults everybody leaves, and the ledger is held against what the hooks wrote. */
  judgeEvery: number;
  /** Faults that may fall together. */
  atOnce: number;
  /** Longest pause before a fault; it is chosen up to here. */
  longestPauseMs: number;
  /** Where everything is kept that tells of a broken promise. */
  evidence: string;
  say: (line: string) => void;
};

/** What a campaign came to. */
export type Outcome = {
  /** How often each fault really fell. */
  fell: Record<string, number>;
  connections: number;
  admitted: number;
  tellings: number;
  wireGuard: number;
};

const script = `from pyovpn.plugin import *
def post_auth(authcred, attributes, authret, info):
    return authret
`;

const mostTries = 20;

/**
 * Real daemons and clients, and one fault after the other at moments that chance chooses by the seed; again and again
 * everything is left to settle, and the ledger is held against what the hooks wrote down.
 * @throws Error that names the seed, the number of the last fault and every promise that was broken
 */
export async function runCampaign(options: CampaignOptions): Promise<Outcome> {
  const { seed, say } = options;
  await using lab = await openLab({
    config: { node: { number: 7, url: "https://vpn.lab.example", hostName: "198.18.0.1" } },
  });
  await using disk = await mountSmallDisk(lab.dataDirectory);
  const told = await writeToldLog(join(lab.directory, "told"));
  const unique = `${lab.network.server.name.slice(0, 7)}${process.pid.toString(36)}`;
  const interfaces = { mobile: `${unique}w`, roaming: `${unique}h` };
  await lab.configure({
    connectScriptPath: undefined,
    hooks: told.hooks,
    scripts: { workers: 1 },
    profiles: [
      {
        id: "office",
        openvpn: { managed: { listen: ["udp/1194", "tcp/1195"] } },
        ranges: { ipv4: "10.42.0.0/26", ipv6: "fd42:1::/64" },
      },
      {
        id: "mobile",
        wireguard: { managed: { interface: interfaces.mobile, listenPort: 51820 } },
        ranges: { ipv4: "10.43.0.0/26", ipv6: "fd43:1::/64" },
      },
      {
        id: "roaming",
        wireguard: { managed: { interface: interfaces.roaming, listenPort: 51821 }, trigger: "handshake" },
        ranges: { ipv4: "10.44.0.0/26", ipv6: "fd44:1::/64" },
      },
    ],
  });
  const databaseFile = databaseOf(lab.dataDirectory);
  const daemon = keepDaemon({
    server: lab.network.server,
    configFile: lab.configFile,
    dataDirectory: lab.dataDirectory,
  });
  const target: Target = {
    directory: lab.directory,
    interfaces,
    hooksDirectory: told.directory,
    databaseFile,
    disk,
    daemon,
    storeFaults: [],
  };
  const devices: Device[] = [];
  const fell: Record<string, number> = {};
  const history: string[] = [];
  const broke: string[] = [];
  const note = (line: string) => {
    history.push(`${new Date().toISOString()} ${line}`);
  };
  let done = 0;
  try {
    await daemon.answers();
    await daemon.call("post-auth-add", { name: "gate", text: script, by: "campaign" });
    await daemon.call("post-auth-activate", { name: "gate" });
    devices.push(...(await makeDevices(options.devices, { daemon, directory: lab.directory, lab })));
    const random = new Random(seed);
    while (done < options.faults) {
      const stopping = new AbortController();
      const roaming = Promise.all(
        devices.map((device, index) => device.roam(new Random(seed + 7_919 * (index + 1) + done), stopping.signal)),
      );
      const last = Math.min(options.faults, done + options.judgeEvery);
      const falling = new Set<Promise<unknown>>();
      try {
        for (; done < last; ) {
          done += 1;
          const number = done;
          const name = random.pick(weights);
          const own = new Random(random.between(0, 2 ** 31));
          await pause(random.between(0, options.longestPauseMs));
          while (falling.size >= options.atOnce) await Promise.race(falling);
          const fall: Promise<unknown> = fallOnce(name, own)
            .then(
              (what) => note(`fault ${number}: ${what ?? `${name}: nothing to break`}`),
              (error) => broke.push(`fault ${number}: ${name}: ${error instanceof Error ? error.stack : error}`),
            )
            .finally(() => falling.delete(fall));
          falling.add(fall);
        }
        await Promise.all(falling);
      } finally {
        await Promise.all(falling);
        stopping.abort();
        await roaming;
      }
      if (broke.length > 0) throw new Error(`the campaign itself failed:\n${broke.join("\n")}`);
      note("settling");
      await expectPeersKnown(lab.network.server, target);
      await judge(await settled(devices, { target, daemon }), told, { target, devices });
      await expectPeersKnown(lab.network.server, target);
      await expectNobodyIn(lab.network.server, lab.directory);
      say(`seed ${seed}: ${done} of ${options.faults} faults, every promise kept`);
    }
    const ledger = readLedger(databaseFile);
    const lines = await told.lines();
    await expectNothingLeft(daemon, lab.network);
    return {
      fell,
      connections: ledger.connections.length,
      admitted: ledger.connections.filter(({ admitted_at }) => admitted_at !== null).length,
      tellings: lines.length,
      wireGuard: ledger.connections.filter(({ protocol }) => protocol === "wireguard").length,
    };
  } catch (error) {
    await keepEvidence(error).catch((failure) => say(`the evidence could not be kept: ${failure}`));
    const what = error instanceof Error ? error.message : String(error);
    throw new Error(
      `seed ${seed}, fault ${done}: ${what}\nRepeat with: make crash SEED=${seed} FAULTS=${done}\nEvidence: ${options.evidence}`,
      { cause: error },
    );
  } finally {
    await daemon.stop();
    await Promise.all(devices.map((device) => device.end()));
    // One that was killed leaves its socket, in a directory that the whole machine shares.
    for (const name of Object.values(interfaces)) await rm(`/run/wireguard/${name}.sock`, { force: true });
  }

  /** Where there is nothing of its kind to break just then, something else is broken in its place. */
  async function fallOnce(name: string, own: Random): Promise<string | undefined> {
    for (let tries = 0, kind = name; tries < mostTries; tries++, kind = own.pick(weights)) {
      const what = await faults[kind]?.(target, own);
      if (what === undefined) continue;
      fell[kind] = (fell[kind] ?? 0) + 1;
      return `${kind}: ${what}`;
    }
    return undefined;
  }

  async function keepEvidence(error: unknown): Promise<void> {
    await mkdir(options.evidence, { recursive: true });
    const keep = (file: string, text: string) => writeFile(join(options.evidence, file), text);
    await keep("what", error instanceof Error ? (error.stack ?? error.message) : String(error));
    await keep("history", `${history.join("\n")}\n`);
    await keep("daemon.log", daemon.output());
    await keep("processes", JSON.stringify(await ours(target), null, 1));
    await keep("told", (await told.lines()).map((line) => JSON.stringify(line)).join("\n"));
    await keep("ledger.json", JSON.stringify(readLedger(databaseFile), null, 1));
    copyDatabase(databaseFile, join(options.evidence, "sallyport.db"));
  }
}

async function makeDevices(
  count: number,
  options: { daemon: KeptDaemon; directory: string; lab: Awaited<ReturnType<typeof openLab>> },
): Promise<Device[]> {
  const { daemon, directory, lab } = options;
  const place = await lab.network.client();
  const names = Array.from({ length: count }, (_, index) => `user${index + 1}`);
  const remotes = [`${lab.serverAddress} 1194 udp`, `${lab.serverAddress} 1195 tcp-client`];
  const wireGuard = Array.from({ length: Math.ceil(count / 3) }, (_, index) => `mobile${index + 1}`);
  for (const name of wireGuard) await daemon.call("user-add", { name });
  const others = wireGuard.map((name) => wireGuardDevice({ name, profileId: "mobile", daemon }));
  for (const name of ["roaming1", "roaming2"]) {
    await daemon.call("user-add", { name });
    others.push(wireGuardDevice({ name, profileId: "roaming", daemon, at: { network: lab.network, directory } }));
  }
  const openVpn = await inParallel(names, 4, async (name) => {
    await daemon.call("user-add", { name });
    await daemon.call("property-set", { owner: { kind: "user", name }, key: "prop_autologin", value: "true" });
    const issued = await daemon.call<{ file: string }>("client-config-issue", {
      userId: name,
      profileId: "office",
      kind: "auto-login",
    });
    return await openVpnDevice({ name, directory, place, ovpnText: issued.file, remotes });
  });
  return [...openVpn, ...others];
}
