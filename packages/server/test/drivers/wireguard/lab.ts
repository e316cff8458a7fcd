import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Tunnel } from "../../../src/core/vpn-event.ts";
import type {
  InterfaceStatus,
  WireGuardAnswer,
  WireGuardInterface,
} from "../../../src/drivers/wireguard/wireguard-driver.ts";
import { type Child, startChild } from "../../e2e/lab/child.ts";
import { createNetwork, inside, type Network, type Place, SERVER_ADDRESS } from "../../e2e/lab/network.ts";
import { type ChildHost, startHost } from "../../network/child-host.ts";
import { beginRun, presentRun } from "../../test-run.ts";
import { until } from "../../waiting.ts";
import type { ExpectedInFile } from "./driver-host.ts";

const execute = promisify(execFile);
export const LISTEN_PORT = 51_820;
export const SERVER_FOUR = "10.43.0.1";
export const SERVER_SIX = "fd43:1::1";

export type KeyPair = { privateKey: string; publicKey: string };

export function makeKeys(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  const raw = (der: Buffer) => der.subarray(-32).toString("base64");
  return {
    privateKey: raw(privateKey.export({ format: "der", type: "pkcs8" })),
    publicKey: raw(publicKey.export({ format: "der", type: "spki" })),
  };
}

/** A device with a stock wireguard-go in a namespace of its own. */
export type Device = KeyPair & {
  place: Place;
  four: string;
  six: string;
  presharedKey: string | null;
  tunnel: Tunnel;
  /** As the ledger would list it once it is let in. */
  row: ExpectedInFile;
  /** Whether an echo comes back within some seconds, however many packets that takes. */
  ping(address?: string): Promise<boolean>;
  /** Sends one packet; true where it was answered soon. */
  knock(): Promise<boolean>;
  /** Pings without a pause until it is told to stop; then which of those before the last answer had none. */
  pingOn(): Promise<() => Promise<number[]>>;
  /** Forgets its session, as one that was switched off and on. */
  again(): Promise<void>;
  wg(...words: string[]): Promise<string>;
};

export type Told = { message: string; fields: Record<string, unknown> };

/** One life of a daemon with the driver in it. */
export type Life = {
  host: ChildHost;
  start(): Promise<void>;
  stop(how: "end" | "leave"): Promise<void>;
  /** A device asks to come in. */
  request(device: Device, username?: string): Promise<WireGuardAnswer>;
  /** Everything that the lifecycle was told of this kind, in order. */
  told(kind: string): Told["fields"][];
  next(kind: string, count?: number): Promise<Told["fields"]>;
  status(): Promise<InterfaceStatus>;
};

export type WireGuardLab = AsyncDisposable & {
  network: Network;
  name: string;
  serverKeys: KeyPair;
  directory: string;
  /** In the server's namespace unless told. */
  life(settings?: Partial<WireGuardInterface>, place?: Place): Promise<Life>;
  device(number: number, options?: { presharedKey?: string; endpoint?: boolean }): Promise<Device>;
  /** What the ledger and the client configs say. */
  ledger(expected: readonly ExpectedInFile[], ours?: readonly string[]): Promise<void>;
  /** Runs a program in the server's namespace. */
  run(program: string, ...words: string[]): Promise<string>;
  wg(...words: string[]): Promise<string>;
  /** Starts a wireguard-go as somebody else would. */
  foreignInterface(): Promise<Child>;
  pidOfWireGuardGo(): Promise<number | undefined>;
  /** Leaves a socket behind as a killed wireguard-go does. */
  staleSocket(): Promise<void>;
};

let labs = 0;

export async function openWireGuardLab(): Promise<WireGuardLab> {
  const run = presentRun() ?? (await beginRun());
  labs += 1;
  const prefix = `${run.namePrefix}${process.pid.toString(36)}${labs.toString(36)}`;
  const directory = await mkdtemp(join(tmpdir(), "wireguard-"));
  const ledgerFile = join(directory, "ledger.json");
  const network = await createNetwork(run);
  const name = `${prefix}s`;
  const serverKeys = makeKeys();
  const lives: ChildHost[] = [];
  const children: Child[] = [];
  const within = async (place: Place, ...words: string[]) => {
    const [program = "", ...args] = inside(place, words);
    return (await execute(program, args, { maxBuffer: 64 * 1024 * 1024 })).stdout;
  };
  const onServer = (...words: string[]) => within(network.server, ...words);
  const wireGuardGo = async (place: Place, at: string) => {
    const child = await startChild(inside(place, ["wireguard-go", "-f", at]));
    children.push(child);
    await until("an interface", () => within(place, "wg", "show", at).then(Boolean, () => false), {
      otherwise: () => child.output(),
    });
    return child;
  };
  const pidOfWireGuardGo = async () => {
    for (const pid of await network.processesIn(network.server)) {
      const command = await execute("ps", ["-o", "args=", "-p", `${pid}`]).catch(() => ({ stdout: "" }));
      if (command.stdout.trim() === `wireguard-go -f ${name}`) return pid;
    }
    return undefined;
  };

  const lab: WireGuardLab = {
    network,
    name,
    serverKeys,
    directory,
    pidOfWireGuardGo,
    run: (...words) => onServer(...words),
    wg: (...words) => onServer("wg", ...words),
    foreignInterface: async () => {
      const child = await wireGuardGo(network.server, name);
      await writeFile(join(directory, "foreign.key"), serverKeys.privateKey);
      await onServer("wg", "set", name, "private-key", join(directory, "foreign.key"), "listen-port", `${LISTEN_PORT}`);
      await onServer("ip", "address", "add", `${SERVER_FOUR}/20`, "dev", name);
      await onServer("ip", "link", "set", name, "up");
      return child;
    },
    staleSocket: async () => {
      const child = await wireGuardGo(network.server, name);
      await child.end("SIGKILL");
      await until("the interface to be gone", () =>
        onServer("ip", "link", "show", name).then(
          () => false,
          () => true,
        ),
      );
    },
    ledger: (expected, ours = expected.map(({ publicKey }) => publicKey)) =>
      writeFile(ledgerFile, JSON.stringify({ expected, ours })),
    life: async (changes = {}, place = network.server) => {
      const usual = {
        profileId: "mobile",
        interface: name,
        directory: join(directory, "state"),
        mode: {
          kind: "managed",
          listenPort: LISTEN_PORT,
          privateKey: serverKeys.privateKey,
          addresses: [`${SERVER_FOUR}/20`, `${SERVER_SIX}/64`],
        },
        trigger: "config",
        silenceMs: 180_000,
        pollIntervalMs: 500,
        askAgainMs: 1_000,
      };
      const settings = { ledger: ledgerFile, interface: { ...usual, ...changes } };
      const host = await startHost(place.name, join(import.meta.dirname, "driver-host.ts"), settings);
      lives.push(host);
      const told = (kind: string) =>
        host.logged.filter(({ level, message }) => level === "event" && message === kind).map(({ fields }) => fields);
      return {
        host,
        start: () => host.call("start"),
        stop: (how) => host.call("stop", how),
        told,
        next: (kind, count = 1) =>
          until(`${kind} number ${count}`, () => told(kind)[count - 1], {
            everyMs: 10,
            otherwise: () => JSON.stringify(host.logged.slice(-20), null, 1),
          }),
        status: async () => (await host.call<InterfaceStatus[]>("interfaces"))[0] as InterfaceStatus,
        request: ({ publicKey, presharedKey, tunnel, four, six, place }, username = "alice") =>
          host.call("request", {
            tunnel,
            peer: { publicKey, presharedKey },
            username,
            clientAddress: place.address,
            clientInfo: { four, six },
            certificateFields: {},
          }),
      };
    },
    device: async (number, { presharedKey, endpoint = true } = {}) => {
      const place = await network.client();
      const keys = makeKeys();
      const at = `${prefix}c${number}`;
      const [four, six] = [`10.43.0.${number + 1}`, `fd43:1::${(number + 1).toString(16)}`];
      await wireGuardGo(place, at);
      const [keyFile, sharedFile] = [join(directory, `${at}.key`), join(directory, `${at}.psk`)];
      await writeFile(keyFile, keys.privateKey);
      await writeFile(sharedFile, presharedKey ?? "");
      const server = ["peer", serverKeys.publicKey];
      const peer = [
        ...server,
        ...(presharedKey === undefined ? [] : ["preshared-key", sharedFile]),
        ...(endpoint ? ["endpoint", `${SERVER_ADDRESS}:${LISTEN_PORT}`] : []),
        ...["allowed-ips", "10.43.0.0/20,fd43:1::/64"],
      ];
      await within(place, "wg", "set", at, "private-key", keyFile, ...peer);
      await within(place, "ip", "address", "add", `${four}/20`, "dev", at);
      await within(place, "ip", "address", "add", `${six}/64`, "dev", at, "nodad");
      await within(place, "ip", "link", "set", at, "up");
      const { publicKey } = keys;
      return {
        ...keys,
        place,
        four,
        six,
        presharedKey: presharedKey ?? null,
        tunnel: { profileId: "mobile", listener: name, key: publicKey },
        row: { publicKey, presharedKey: presharedKey ?? null, allowedIps: [`${four}/32`, `${six}/128`] },
        wg: (...words) => within(place, "wg", ...words),
        again: async () => {
          await within(place, "wg", "set", at, ...server, "remove");
          await within(place, "wg", "set", at, ...peer);
        },
        ping: (address = SERVER_FOUR) =>
          within(place, "ping", "-c", "1", "-i", "0.2", "-w", "5", address).then(
            () => true,
            () => false,
          ),
        knock: () =>
          within(place, "ping", "-c", "1", "-W", "1", SERVER_FOUR).then(
            () => true,
            () => false,
          ),
        pingOn: async () => {
          const child = await startChild(inside(place, ["ping", "-i", "0.02", "-D", SERVER_FOUR]));
          children.push(child);
          await until("the first answer", () => child.output().includes("bytes from"));
          return async () => {
            const soFar = child.output().length;
            await until("another answer", () => child.output().slice(soFar).includes("bytes from"));
            await child.end("SIGINT");
            const numbers = [...child.output().matchAll(/icmp_seq=(\d+)/g)].map(([, number]) => Number(number));
            const answered = new Set(numbers);
            const last = Math.max(...numbers);
            return Array.from({ length: last }, (_, index) => index + 1).filter((number) => !answered.has(number));
          };
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(lives.map((host) => host.kill()));
      await Promise.all(children.map((child) => child.end("SIGTERM")));
      const pid = await pidOfWireGuardGo();
      if (pid !== undefined) process.kill(pid, "SIGTERM");
      await until("wireguard-go to end", async () => (await pidOfWireGuardGo()) === undefined);
      await network.close();
      await rm(`/var/run/wireguard/${name}.sock`, { force: true });
      await rm(directory, { recursive: true, force: true });
    },
  };
  await lab.ledger([]);
  return lab;
}
