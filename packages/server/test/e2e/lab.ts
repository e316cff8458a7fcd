import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beginRun, presentRun } from "../test-run.ts";
import { until } from "../waiting.ts";
import { type CommandResult, createDaemon, type Daemon, runSallyport } from "./lab/daemon.ts";
import { type RecordingHook, writeRecordingHook } from "./lab/hook-log.ts";
import { createNetwork, INNER_ADDRESS, type Network, SERVER_ADDRESS } from "./lab/network.ts";
import { type Client, type ClientOptions, startClient } from "./lab/openvpn-client.ts";

export { inParallel, until } from "../waiting.ts";
export type { CommandResult, Daemon } from "./lab/daemon.ts";
export type { HookCall, RecordingHook } from "./lab/hook-log.ts";
export type { Client, ClientOptions } from "./lab/openvpn-client.ts";

/**
 * A laboratory: a network of namespaces, a directory, a hook that writes down what it is told, and the real daemon,
 * not started yet. `await using lab = await openLab()` takes everything away at the end, however the test went; what
 * an interrupted run leaves is swept away by the next one.
 */
export type Lab = AsyncDisposable & {
  network: Network;
  directory: string;
  configFile: string;
  dataDirectory: string;
  /** Where the server is reached from the clients' namespaces. */
  serverAddress: string;
  /** An address that only the tunnel leads to: the usual profile's `routes` hold it. */
  innerAddress: string;
  hook: RecordingHook;
  daemon: Daemon;
  /** Writes the configuration: the usual one with some of its top-level keys replaced. */
  configure(changes?: Record<string, unknown>): Promise<void>;
  /** One command of the command line; `input` is its standard input. */
  sallyport(args: readonly string[], input?: string): Promise<CommandResult>;
  /** The same; throws with what was printed unless the exit status is 0. */
  succeed(args: readonly string[], input?: string): Promise<string>;
  /** The same with `--json`, parsed. */
  json<Result>(args: readonly string[], input?: string): Promise<Result>;
  /** Adds a local account with a password. */
  addUser(name: string, password: string): Promise<void>;
  /** Issues a user-locked client config and returns its text. */
  issue(user: string, profile?: string): Promise<string>;
  /** Starts a stock openvpn client in a namespace of its own. */
  client(options: ClientOptions): Promise<Client>;
  /** The clients started so far. */
  clients: readonly Client[];
};

export type LabOptions = {
  /** Shell that the recording hook runs after writing down what it was given; `exit 1` vetoes. */
  hookBody?: string;
  /** Top-level keys of the configuration that differ from the usual one. */
  config?: Record<string, unknown>;
};

const mostShown = 6_000;

export async function openLab(options: LabOptions = {}): Promise<Lab> {
  const run = presentRun() ?? (await beginRun());
  const directory = await mkdtemp(join(tmpdir(), "lab-"));
  const network = await createNetwork(run);
  const configFile = join(directory, "sallyport.yaml");
  const hook = await writeRecordingHook(join(directory, "hook"), options.hookBody);
  const dataDirectory = join(directory, "data");
  const clients: Client[] = [];
  let clientsBegun = 0;

  const sallyport: Lab["sallyport"] = (args, input) => runSallyport(configFile, args, input);
  const succeed: Lab["succeed"] = async (args, input) => {
    const { status, stdout, stderr } = await sallyport(args, input);
    if (status !== 0) throw new Error(`sallyport ${args.join(" ")} ended with ${status}: ${stderr}${stdout}`);
    return stdout;
  };
  const answers = async () => (await sallyport(["connection", "list", "--json"])).status === 0;
  const daemon = createDaemon({ network, configFile, answers });

  const usual: Record<string, unknown> = {
    dataDirectory,
    node: { number: 7, url: "https://vpn.lab.example", hostName: SERVER_ADDRESS },
    connectScriptPath: hook.path,
    profiles: [
      {
        id: "office",
        displayName: "Office",
        openvpn: { managed: { listen: ["udp/1194"] } },
        ranges: { ipv4: "10.42.0.0/20", ipv6: "fd42:1::/64" },
        routes: ["10.99.0.0/16"],
        dns: ["10.42.0.1"],
      },
    ],
  };
  const configure: Lab["configure"] = async (changes = {}) => {
    // JSON is YAML.
    await writeFile(configFile, JSON.stringify({ ...usual, ...options.config, ...changes }, null, 2));
  };
  await mkdir(dataDirectory, { mode: 0o700 });
  await configure();

  return {
    network,
    directory,
    configFile,
    dataDirectory,
    serverAddress: SERVER_ADDRESS,
    innerAddress: INNER_ADDRESS,
    hook,
    daemon,
    configure,
    sallyport,
    succeed,
    json: async (args, input) => JSON.parse(await succeed([...args, "--json"], input)),
    addUser: async (name, password) => {
      await succeed(["user", "add", name, "--password-stdin"], `${password}\n`);
    },
    issue: (user, profile = "office") => succeed(["client-config", "issue", "--user", user, "--profile", profile]),
    client: async (clientOptions) => {
      clientsBegun += 1;
      const otherSide = () => daemon.output().slice(-mostShown);
      const place = join(directory, `client-${clientsBegun}`);
      const started = await startClient(network, place, { otherSide, ...clientOptions });
      clients.push(started);
      return started;
    },
    clients,
    [Symbol.asyncDispose]: async () => {
      if (daemon.running()) await daemon.stop();
      await Promise.all(clients.map((client) => client.kill()));
      for (const pid of await network.processesIn(network.server)) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It ended by itself meanwhile.
        }
      }
      await until(
        "the server's namespace to be empty",
        async () => (await network.processesIn(network.server)).length === 0,
      );
      await network.close();
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
