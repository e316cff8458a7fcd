import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { TestRun } from "../../test-run.ts";

const execute = promisify(execFile);

/** Where the server is reached; clients count up from the address after it. */
export const SERVER_ADDRESS = "198.18.0.1";
/** A machine behind the server, for traffic that must be routed into the tunnel; it is the server itself. */
export const INNER_ADDRESS = "10.99.0.1";
const SERVER_ADDRESS_SIX = "fd18::1";

/** One network namespace. Interfaces inside need no unique names. */
export type Place = { name: string; address: string };

/**
 * A network of its own: a namespace for the server with a bridge in it, and one for each client, plugged into that
 * bridge. Nothing of it shows outside of the namespaces.
 */
export type Network = {
  server: Place;
  /** Adds a client's namespace. */
  client(): Promise<Place>;
  /** Pids of whatever runs in a namespace. */
  processesIn(place: Place): Promise<number[]>;
  close(): Promise<void>;
};

/** The words that make a command run inside a namespace; the process keeps the pid it is started with. */
export function inside(place: Place, command: readonly string[]): string[] {
  return ["ip", "netns", "exec", place.name, ...command];
}

async function ip(...commands: string[][]): Promise<void> {
  for (const words of commands) await execute("ip", words);
}

let networks = 0;

export async function createNetwork(run: TestRun): Promise<Network> {
  networks += 1;
  // A worker process of the test runner may make several, beside other workers.
  const prefix = `${run.namePrefix}-${process.pid.toString(36)}.${networks}`;
  const places: Place[] = [];
  const add = async (name: string, address: string) => {
    const place = { name: `${prefix}${name}`, address };
    places.push(place);
    await ip(["netns", "add", place.name], ["-n", place.name, "link", "set", "lo", "up"]);
    return place;
  };

  const server = await add("s", SERVER_ADDRESS);
  await ip(
    ["-n", server.name, "address", "add", `${INNER_ADDRESS}/32`, "dev", "lo"],
    // A bridge without an address of its own takes the lowest of its ports': a new client would change it, and the
    // others would send to the former one until their neighbour tables notice.
    ["-n", server.name, "link", "add", "bridge", "address", "02:00:00:00:00:01", "type", "bridge"],
    ["-n", server.name, "address", "add", `${SERVER_ADDRESS}/16`, "dev", "bridge"],
    ["-n", server.name, "address", "add", `${SERVER_ADDRESS_SIX}/64`, "dev", "bridge", "nodad"],
    ["-n", server.name, "link", "set", "bridge", "up"],
  );

  return {
    server,
    client: async () => {
      const number = places.length;
      const host = number + 1;
      const client = await add(`c${number}`, `198.18.${host >> 8}.${host & 255}`);
      const port = `port${number}`;
      await ip(
        ["-n", server.name, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", client.name],
        ["-n", server.name, "link", "set", port, "master", "bridge", "up"],
        ["-n", client.name, "address", "add", `${client.address}/16`, "dev", "eth0"],
        ["-n", client.name, "address", "add", `fd18::${host.toString(16)}/64`, "dev", "eth0", "nodad"],
        ["-n", client.name, "link", "set", "eth0", "up"],
      );
      return client;
    },
    processesIn: async (place) => {
      const { stdout } = await execute("ip", ["netns", "pids", place.name]);
      return stdout.split("\n").filter(Boolean).map(Number);
    },
    close: async () => {
      for (const place of places.splice(0)) await execute("ip", ["netns", "delete", place.name]).catch(() => undefined);
    },
  };
}
