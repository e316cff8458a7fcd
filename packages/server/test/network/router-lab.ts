import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { NetworkClient } from "../../src/network/network.ts";
import { beginRun, presentRun } from "../test-run.ts";
import { type ChildHost, startHost } from "./child-host.ts";

const execute = promisify(execFile);
export const TABLE = "sallyport";

/** Stand-ins for the interfaces of two listeners of `office` and one of `mobile`, with the server's addresses there. */
export const devices = { officeUdp: "sp-office-udp", officeTcp: "sp-office-tcp", mobile: "sp-mobile-udp" };
const gatewaysOf: Record<string, [string, string]> = {
  [devices.officeUdp]: ["10.42.0.1/20", "fd42:1::1/64"],
  [devices.officeTcp]: ["10.42.0.1/20", "fd42:1::1/64"],
  [devices.mobile]: ["10.43.0.1/20", "fd43:1::1/64"],
};
/** Where things stand beyond the VPN: one machine with addresses in several networks, and the router's own. */
export const target = { near: "10.99.0.2", far: "10.88.0.2", other: "192.0.2.5", six: "fd99::2", farSix: "fd88::2" };
export const router = { near: "10.99.0.1", six: "fd99::1" };

export type ProfileText = {
  id: string;
  ranges: { ipv4: { range: string } | null; ipv6: { range: string } | null };
  routes: string[];
  forwarding: boolean;
  nat: "masquerade" | "none";
  devices: string[];
};

export const office: ProfileText = {
  id: "office",
  ranges: { ipv4: { range: "10.42.0.0/20" }, ipv6: { range: "fd42:1::/64" } },
  routes: ["10.99.0.0/16", "fd99::/64"],
  forwarding: true,
  nat: "none",
  devices: [devices.officeUdp, devices.officeTcp],
};
export const mobile: ProfileText = {
  ...office,
  id: "mobile",
  ranges: { ipv4: { range: "10.43.0.0/20" }, ipv6: { range: "fd43:1::/64" } },
  devices: [devices.mobile],
};

/** A namespace that packets come from. */
export type Place = {
  namespace: string;
  /** Whether an echo comes back within some seconds. */
  ping(address: string, from?: string): Promise<boolean>;
  /** Whom the TCP server there saw, or null. */
  ask(address: string, port?: number): Promise<string | null>;
  /** The same, and stays connected; `say` is whether a word over that connection is answered. */
  open(address: string): Promise<string | null>;
  say(word: string): Promise<boolean>;
  ip(...words: string[]): Promise<string>;
  /** How many echo requests have arrived here. */
  pingsSeen(): Promise<number>;
};

export type RouterLab = AsyncDisposable & {
  namespace: string;
  target: Place;
  /** A namespace plugged into a device, which has these addresses and sends everything to the router. */
  client(device: string, ipv4: string | null, ipv6?: string | null, gateway?: string): Promise<Place>;
  /** Starts the program under test in the router. */
  start(settings?: object): Promise<ChildHost>;
  /** In the router. */
  ip(...words: string[]): Promise<string>;
  nft(...words: string[]): Promise<string>;
  run(program: string, ...words: string[]): Promise<string>;
  tables(): Promise<string[]>;
  stateFile: string;
};

export const port = 8080;
let labs = 0;

/** A router between clients and a target, each in a namespace of its own. */
export async function openRouterLab(): Promise<RouterLab> {
  const run = presentRun() ?? (await beginRun());
  labs += 1;
  const prefix = `${run.namePrefix}-${process.pid.toString(36)}n${labs}`;
  const directory = await mkdtemp(join(tmpdir(), "network-"));
  const namespaces: string[] = [];
  const hosts: ChildHost[] = [];
  const add = async (name: string) => {
    const namespace = `${prefix}${name}`;
    await execute("ip", ["netns", "add", namespace]);
    namespaces.push(namespace);
    await inside(namespace, "ip", "link", "set", "lo", "up");
    return namespace;
  };
  const place = async (namespace: string): Promise<Place & { host: ChildHost }> => {
    const host = await startHost(namespace, join(import.meta.dirname, "place-host.ts"));
    hosts.push(host);
    return {
      namespace,
      host,
      ping: async (address, from) => {
        // Again and again until one is answered or refused: a single packet may get lost.
        const words = ["-c", "1", "-i", "0.2", "-w", "3", ...(from === undefined ? [] : ["-I", from]), address];
        return inside(namespace, "ping", ...words).then(
          () => true,
          () => false,
        );
      },
      ask: (address, at = port) => host.call("ask", address, at),
      open: (address) => host.call("open", address, port),
      say: async (word) => (await host.call("say", word)) === word,
      ip: (...words) => inside(namespace, "ip", ...words),
      pingsSeen: async () => {
        // The first line names the columns, the second holds their values.
        const rows = (await inside(namespace, "grep", "^Icmp:", "/proc/net/snmp")).split("\n");
        const [names = [], values = []] = rows.map((row) => row.split(" "));
        return Number(values[names.indexOf("InEchos")]);
      },
    };
  };

  const namespace = await add("r");
  const targetNamespace = await add("t");
  const ip = (...words: string[]) => inside(namespace, "ip", ...words);
  await ip("link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", targetNamespace);
  await ip("address", "add", `${router.near}/24`, "dev", "lan");
  await ip("address", "add", `${router.six}/64`, "dev", "lan", "nodad");
  await ip("link", "set", "lan", "up");
  const inTarget = (...words: string[]) => inside(targetNamespace, "ip", ...words);
  await inTarget("address", "add", `${target.near}/24`, "dev", "eth0");
  await inTarget("address", "add", `${target.six}/64`, "dev", "eth0", "nodad");
  await inTarget("link", "set", "eth0", "up");
  for (const address of [target.far, target.other, target.farSix]) {
    await inTarget("address", "add", address, "dev", "lo");
    await ip("route", "add", address, "via", address.includes(":") ? target.six : target.near);
  }
  await inTarget("route", "add", "default", "via", router.near);
  await inTarget("-6", "route", "add", "default", "via", router.six);
  for (const device of Object.values(devices)) await addDevice(ip, device);
  const targetPlace = await place(targetNamespace);
  for (const at of [port, port + 1, 53]) await targetPlace.host.call("listen", "::", at);

  return {
    namespace,
    target: targetPlace,
    client: async (device, ipv4, ipv6 = null, gateway) => {
      const number = namespaces.length;
      const client = await add(`c${number}`);
      const [gateway4 = "", gateway6 = ""] = (gatewaysOf[device] ?? []).map((one) => one.split("/")[0]);
      await ip("link", "add", `p${number}`, "type", "veth", "peer", "name", "eth0", "netns", client);
      await ip("link", "set", `p${number}`, "master", device, "up");
      const there = (...words: string[]) => inside(client, "ip", ...words);
      if (ipv4 !== null) await there("address", "add", `${ipv4}/32`, "dev", "eth0");
      if (ipv6 !== null) await there("address", "add", `${ipv6}/128`, "dev", "eth0", "nodad");
      await there("link", "set", "eth0", "up");
      await there("route", "add", "default", "via", gateway ?? gateway4, "dev", "eth0", "onlink");
      await there("-6", "route", "add", "default", "via", gateway6, "dev", "eth0", "onlink");
      const made = await place(client);
      await made.host.call("listen", "::", port);
      return made;
    },
    start: async (settings = {}) => {
      const usual = { table: TABLE, stateFile: join(directory, "network.json"), options: { watchMs: 0 } };
      const host = await startHost(namespace, join(import.meta.dirname, "router-host.ts"), { ...usual, ...settings });
      hosts.push(host);
      return host;
    },
    ip,
    nft: (...words) => inside(namespace, "nft", ...words),
    run: (program, ...words) => inside(namespace, program, ...words),
    tables: async () => (await inside(namespace, "nft", "list", "tables")).split("\n").filter(Boolean),
    stateFile: join(directory, "network.json"),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(hosts.map((host) => host.kill()));
      for (const name of namespaces) await execute("ip", ["netns", "delete", name]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A bridge: what its clients send comes in by it, and a route to a client leads out of it, as with a tun. */
export async function addDevice(ip: RouterLab["ip"], device: string): Promise<void> {
  const [ipv4 = "", ipv6 = ""] = gatewaysOf[device] ?? [];
  await ip("link", "add", "name", device, "type", "bridge", "mcast_snooping", "0");
  await ip("address", "add", ipv4, "dev", device);
  await ip("address", "add", ipv6, "dev", device, "nodad");
  await ip("link", "set", device, "up");
}

async function inside(namespace: string, ...words: string[]): Promise<string> {
  const { stdout } = await execute("ip", ["netns", "exec", namespace, ...words], { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

let connections = 0;

/** An ordinary client of `office`; what matters for the case is given. */
export function aClient(changes: Partial<NetworkClient> = {}): NetworkClient {
  connections += 1;
  return {
    connectionId: `01890a5d-ac96-774b-bcce-${connections.toString(16).padStart(12, "0")}`,
    profileId: "office",
    userId: `user-${connections}`,
    group: null,
    properties: {},
    device: devices.officeUdp,
    ipv4: null,
    ipv6: null,
    gateways: ["10.42.0.1", "fd42:1::1"],
    routes: office.routes,
    dns: [],
    ...changes,
  };
}
