import { setTimeout as pause } from "node:timers/promises";
import Database from "better-sqlite3";
import type { KeptDaemon } from "./kept-daemon.ts";
import { type Found, processesUnder, send } from "./processes.ts";
import type { Random } from "./random.ts";
import type { SmallDisk } from "./small-disk.ts";

/** What can be broken. */
export type Target = {
  /** The laboratory's directory: processes are found by it. */
  directory: string;
  /** WireGuard interfaces by profile; each wireguard-go has its own on its command line. */
  interfaces: Readonly<Record<"mobile" | "roaming", string>>;
  /** Where the hooks' programs lie. */
  hooksDirectory: string;
  databaseFile: string;
  disk: SmallDisk;
  daemon: KeptDaemon;
  /** When the database could not be written, in milliseconds since 1970. */
  storeFaults: { from: number; to: number }[];
};

/** Breaks something, and says what it was; undefined where there was nothing of the kind to break just then. */
type Fault = (target: Target, random: Random) => Promise<string | undefined>;

export const faults: Readonly<Record<string, Fault>> = {
  "kill the daemon": async ({ daemon }) => (daemon.signal("SIGKILL") ? "killed" : undefined),
  "end the daemon": async ({ daemon }) => (daemon.signal("SIGTERM") ? "told to end" : undefined),
  "kill a hook": (target, random) => {
    const isHook = ({ words }: Found) => words.some((word) => word.startsWith(target.hooksDirectory));
    return killOne(target, random, isHook);
  },
  "kill a worker": (target, random) => {
    // Whatever else the daemon started: hosts of scripts and the processes within them, helpers that start programs.
    const isWorker = (found: Found, all: readonly Found[]) =>
      descends(found, target.daemon.pid(), all) &&
      !servers.includes(found.name) &&
      !found.words.some((word) => word.startsWith(target.hooksDirectory));
    return killOne(target, random, isWorker);
  },
  "kill a starter of hooks": (target, random) =>
    killOne(target, random, ({ words }) => words.some((word) => word.endsWith("/spawner.py"))),
  "kill openvpn": (target, random) => killOne(target, random, isOpenVpn),
  "fill the disk": async ({ disk, storeFaults }, random) => {
    const ms = random.between(50, 1_500);
    const from = Date.now();
    await disk.fill();
    await pause(ms);
    await disk.free();
    storeFaults.push({ from, to: Date.now() });
    return `for ${ms} ms`;
  },
  "lock the database": async ({ databaseFile, storeFaults }, random) => {
    // Beyond five seconds the store gives up on a lock.
    const ms = random.chance(0.15) ? random.between(5_200, 6_500) : random.between(50, 1_500);
    const database = new Database(databaseFile, { timeout: 0 });
    try {
      for (let tries = 0; tries < 200; tries++) {
        if (beginWriting(database)) {
          const from = Date.now();
          await pause(ms);
          database.exec("rollback");
          storeFaults.push({ from, to: Date.now() });
          return `for ${ms} ms`;
        }
        await pause(5);
      }
      return undefined;
    } finally {
      database.close();
    }
  },
  "kill wireguard-go": (target, random) => killOne(target, random, ({ name }) => name.startsWith("wireguard")),
  "end openvpn": (target, random) => signalOne(target, random, { fits: isOpenVpn, signal: "SIGTERM" }),
  // Its clients' numbers begin again at 0.
  "have openvpn restart itself": (target, random) => signalOne(target, random, { fits: isOpenVpn, signal: "SIGUSR1" }),
  "freeze openvpn": (target, random) => freeze(target, random, { fits: isOpenVpn, mostMs: 1_200 }),
  "freeze the daemon": (target, random) =>
    freeze(target, random, { fits: ({ pid }) => pid === target.daemon.pid(), mostMs: 5_000 }),
  "reload the daemon": async ({ daemon }) => {
    const pid = daemon.pid();
    // Before it listens for it, SIGHUP ends any process.
    const listens = pid !== undefined && (await daemon.call("connection-list", { limit: 1 }).catch(() => undefined));
    return listens && send(pid, "SIGHUP") ? "reloaded" : undefined;
  },
  "end a connection": async ({ daemon }, random) => {
    const choice = random.fraction();
    const rows = await daemon.call<{ id: string }[]>("connection-list", { limit: 100 }).catch(() => []);
    const row = rows[Math.floor(choice * rows.length)];
    if (row === undefined) return undefined;
    return await daemon.call("connection-kill", { id: row.id }).then(
      () => row.id,
      () => undefined,
    );
  },
};

/** How often each comes, beside the others. */
export const weights: readonly (readonly [string, number])[] = [
  ["kill the daemon", 5],
  ["end the daemon", 1],
  ["kill a hook", 4],
  ["kill a worker", 3],
  ["kill a starter of hooks", 2],
  ["kill openvpn", 2],
  ["fill the disk", 2],
  ["lock the database", 2],
  ["kill wireguard-go", 2],
  ["end openvpn", 1],
  ["have openvpn restart itself", 1],
  ["freeze openvpn", 1],
  ["freeze the daemon", 1],
  ["reload the daemon", 1],
  ["end a connection", 3],
];

const servers = ["openvpn", "wireguard-go"];
const patienceMs = 800;

type Fits = (found: Found, all: readonly Found[]) => boolean;

/** A server, and not a device. */
function isOpenVpn({ name, words }: Found): boolean {
  return name === "openvpn" && words.some((word) => /server-[0-9a-f]+\.conf$/.test(word));
}

function killOne(target: Target, random: Random, fits: Fits): Promise<string | undefined> {
  return signalOne(target, random, { fits, signal: "SIGKILL" });
}

async function freeze(
  target: Target,
  random: Random,
  { fits, mostMs }: { fits: Fits; mostMs: number },
): Promise<string | undefined> {
  const ms = random.between(50, mostMs);
  const all = await ours(target);
  const one = all.find((found) => fits(found, all));
  if (one === undefined || !send(one.pid, "SIGSTOP")) return undefined;
  await pause(ms);
  send(one.pid, "SIGCONT");
  return `${one.pid} for ${ms} ms`;
}

async function signalOne(
  target: Target,
  random: Random,
  { fits, signal }: { fits: Fits; signal: NodeJS.Signals },
): Promise<string | undefined> {
  const choice = random.fraction();
  // A moment's patience: hooks come and go.
  for (const end = Date.now() + patienceMs; Date.now() < end; await pause(20)) {
    const all = await ours(target);
    const found = all.filter((one) => fits(one, all));
    const one = found[Math.floor(choice * found.length)];
    if (one !== undefined && send(one.pid, signal)) return `${one.pid} (${one.words.join(" ").slice(0, 120)})`;
  }
  return undefined;
}

export function ours({ directory, interfaces }: Target): Promise<Found[]> {
  return processesUnder(directory, Object.values(interfaces));
}

function descends(found: Found, ancestor: number | undefined, all: readonly Found[]): boolean {
  if (ancestor === undefined) return false;
  for (let one: Found | undefined = found; one !== undefined; ) {
    if (one.parent === ancestor) return true;
    const { parent }: Found = one;
    one = all.find(({ pid }) => pid === parent);
  }
  return false;
}

function beginWriting(database: Database.Database): boolean {
  try {
    database.exec("begin immediate");
    return true;
  } catch {
    return false;
  }
}
