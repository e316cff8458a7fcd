import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { presentRun } from "../../test-run.ts";
import { until } from "../../waiting.ts";
import { startChild } from "./child.ts";
import { inside, type Network, type Place } from "./network.ts";

const execute = promisify(execFile);

/** What a `.conf` file says, by section and key. */
export type ConfFile = { interface: Record<string, string>; peer: Record<string, string> };

export function readConf(text: string): ConfFile {
  const [before = "", after = ""] = text.split("[Peer]");
  const keys = (part: string) =>
    Object.fromEntries([...part.matchAll(/^(\w+) = (.*)$/gm)].map(([, key = "", value = ""]) => [key, value]));
  return { interface: keys(before), peer: keys(after) };
}

/** A stock wireguard-go in a namespace of its own, brought up from a file as wg-quick(8) does it. */
export type WireGuardClient = {
  place: Place;
  name: string;
  /** Brings it to another file of the same device. */
  use(text: string): Promise<void>;
  /** Sends packets until so many are answered, for some seconds. */
  ping(target: string, count?: number): Promise<boolean>;
  stop(): Promise<void>;
};

let clients = 0;

/** wireguard-go's sockets are shared by all namespaces: names of interfaces are unique on the machine. */
export function interfaceName(): string {
  clients += 1;
  return `${presentRun()?.namePrefix ?? "sp"}${process.pid.toString(36)}${clients.toString(36)}`.slice(-15);
}

export async function startWireGuardClient(
  network: Network,
  directory: string,
  text: string,
  privateKey?: string,
): Promise<WireGuardClient> {
  const place = await network.client();
  const name = interfaceName();
  const within = async (...words: string[]) => {
    const [program = "", ...args] = inside(place, words);
    return (await execute(program, args)).stdout;
  };
  const child = await startChild(inside(place, ["wireguard-go", "-f", name]));
  await until("the client's interface", () => within("wg", "show", name).then(Boolean, () => false), {
    otherwise: () => child.output(),
  });
  const use = async (conf: string) => {
    const file = join(directory, `${name}.conf`);
    const own = privateKey === undefined ? conf : conf.replace(/^# PrivateKey = .*$/m, `PrivateKey = ${privateKey}`);
    await writeFile(file, own.replace(/^(Address|DNS|MTU) = .*\n/gm, ""), { mode: 0o600 });
    await within("wg", "setconf", name, file);
    const { interface: mine, peer } = readConf(own);
    await within("ip", "address", "flush", "dev", name);
    for (const address of (mine.Address ?? "").split(", ")) {
      await within("ip", "address", "add", address, "dev", name, ...(address.includes(":") ? ["nodad"] : []));
    }
    await within("ip", "link", "set", name, "up");
    for (const range of (peer.AllowedIPs ?? "").split(", ")) await within("ip", "route", "replace", range, "dev", name);
  };
  await use(text);
  return {
    place,
    name,
    use,
    ping: async (target, count = 1) => {
      const words = ["ping", "-n", "-q", "-i", "0.2", "-w", "5", "-c", `${count}`, target];
      return await within(...words).then(
        () => true,
        () => false,
      );
    },
    stop: () => child.end("SIGTERM"),
  };
}
