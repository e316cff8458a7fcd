import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { until } from "../../waiting.ts";
import { startChild } from "./child.ts";
import { inside, type Network, type Place } from "./network.ts";

const execute = promisify(execFile);

export type ClientOptions = {
  /** The client config as it was issued. */
  ovpnText: string;
  user?: string;
  password?: string;
  /** Further openvpn options, such as `["--push-peer-info"]`. */
  extra?: readonly string[];
  /** Where it runs; a namespace of its own unless told. */
  place?: Place;
  /** What the other side says, for the error when this one waits in vain. */
  otherSide?: () => string;
};

/** A stock openvpn client in a network namespace. */
export type Client = {
  place: Place;
  pid: number;
  log(): string;
  /** Waits for a line of its log; the error shows the log. */
  sees(pattern: RegExp, deadlineMs?: number): Promise<RegExpMatchArray>;
  /** Waits until it is connected. */
  connected(deadlineMs?: number): Promise<void>;
  /** Waits until it is refused and gives the reason the person reads, without the attempt's code; empty where none was sent. */
  refused(deadlineMs?: number): Promise<string>;
  /** How often it was connected since it started. */
  timesConnected(): number;
  /** Addresses of its tunnel, from the interface itself. */
  addresses(): Promise<{ ipv4: string | undefined; ipv6: string | undefined }>;
  /** Routes through the tunnel, as `ip route` words them: `10.99.0.0/16 via 10.42.0.1 dev tun0`. */
  routes(): Promise<string[]>;
  /** Sends packets through the tunnel; true where at least half were answered: OpenVPN loses one when a key is renewed. */
  ping(target: string, options?: { count?: number; bytes?: number }): Promise<boolean>;
  /** What ping said the last time. */
  lastPing(): string;
  running(): boolean;
  /** SIGTERM: the server is told. */
  stop(): Promise<void>;
  /** SIGKILL: the server is not told. */
  kill(): Promise<void>;
};

type Output = { stdout?: string; stderr?: string };

const CONNECTED = /Initialization Sequence Completed/g;

export async function startClient(network: Network, directory: string, options: ClientOptions): Promise<Client> {
  const place = options.place ?? (await network.client());
  await mkdir(directory, { recursive: true });
  const config = join(directory, "client.ovpn");
  await writeFile(config, options.ovpnText, { mode: 0o600 });
  const credentials: string[] = [];
  if (options.user !== undefined) {
    const file = join(directory, "credentials");
    await writeFile(file, `${options.user}\n${options.password ?? ""}\n`, { mode: 0o600 });
    credentials.push("--auth-user-pass", file);
  }
  const child = await startChild(
    inside(place, [
      "openvpn",
      ...["--cd", directory, "--config", config, ...credentials],
      ...["--dev", "tun0", "--verb", "3", "--connect-retry", "1", "2", ...(options.extra ?? [])],
    ]),
    { cwd: directory },
  );
  const log = () => child.output();
  let lastPing = "";
  const sees: Client["sees"] = (pattern, deadlineMs = 60_000) =>
    until(
      `${pattern} in the client's log`,
      () => {
        const found = log().match(pattern);
        if (found === null && child.exited() !== undefined) throw new Error(`The client ended.\n${log()}`);
        return found ?? undefined;
      },
      { deadlineMs, otherwise: () => `${log()}\nThe other side:\n${options.otherSide?.() ?? ""}` },
    );

  return {
    place,
    pid: child.pid,
    log,
    sees,
    connected: async (deadlineMs) => void (await sees(/Initialization Sequence Completed/, deadlineMs)),
    refused: async (deadlineMs) => {
      const found = await sees(/Received control message: AUTH_FAILED(?:,(.*))?/, deadlineMs);
      return (found[1] ?? "").replace(/ \(code [0-9A-Z]{6}\)$/, "");
    },
    timesConnected: () => log().match(CONNECTED)?.length ?? 0,
    addresses: async () => {
      const { stdout } = await execute("ip", ["-n", place.name, "-json", "address", "show", "dev", "tun0"]);
      const [device] = JSON.parse(stdout) as { addr_info: { family: string; local: string; scope: string }[] }[];
      const of = (family: string) =>
        device?.addr_info.find((info) => info.family === family && info.scope === "global")?.local;
      return { ipv4: of("inet"), ipv6: of("inet6") };
    },
    routes: async () => {
      const { stdout } = await execute("ip", ["-n", place.name, "route", "show", "dev", "tun0"]);
      const lines = stdout.split("\n").map((line) => line.trim().split(" "));
      return lines.map(([target, ...words]) =>
        words[0] === "via" ? `${target} via ${words[1]} dev tun0` : `${target} dev tun0`,
      );
    },
    ping: async (target, { count = 3, bytes = 56 } = {}) => {
      const words = ["ping", "-n", "-q", "-i", "0.2", "-W", "5", "-c", `${count}`, "-s", `${bytes}`, target];
      const [program = "", ...args] = inside(place, words);
      const { stdout = "", stderr = "" } = await execute(program, args).catch(
        (error: object) => ({ ...error }) as Output,
      );
      lastPing = `${stdout}${stderr}`;
      return Number(stdout.match(/(\d+) received/)?.[1]) >= count / 2;
    },
    lastPing: () => lastPing,
    running: () => child.exited() === undefined,
    stop: () => child.end("SIGTERM"),
    kill: () => child.end("SIGKILL"),
  };
}
