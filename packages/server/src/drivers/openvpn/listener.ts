import { setTimeout as pause } from "node:timers/promises";
import type { AddressRange } from "../../core/address-range.ts";
import { SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { boundLog } from "../daemon-log.ts";
import type { DriverEvents } from "../driver.ts";
import { endProcess, isRunning } from "../running-process.ts";
import { attach } from "./attach.ts";
import { Clients } from "./clients.ts";
import type { Command } from "./commands.ts";
import type { ListenerStatus } from "./listener-status.ts";
import type { ManagementConnection, Reply, SendTerms } from "./management.ts";
import {
  findServers,
  lastWordsOf,
  listenerFiles,
  makeListenerDirectory,
  markAttached,
  type ServerProcess,
  startServer,
  wasAttached,
} from "./process.ts";
import {
  deviceName,
  fingerprint,
  isPlainIpv4,
  type ListenAddress,
  pushedOptions,
  type ServerConfigOptions,
  type ServerFiles,
  serverConfig,
} from "./server-config.ts";

export type OpenVpnListenerOptions = {
  profileId: string;
  /** The listener's name in tunnels and in the ledger, such as `udp/1194`. */
  listener: string;
  listen: ListenAddress;
  /** For the socket, the configuration and the log; made where it is missing, entered by its owner alone. Absolute. */
  directory: string;
  /** Absolute paths. */
  files: ServerFiles;
  /** The first address of each is the server's own. */
  ranges: { ipv4?: AddressRange | undefined; ipv6?: AddressRange | undefined };
  /** The program; a wrapper must `exec` it. */
  program?: string;
  /** Whether an answer is followed by the message that makes OpenVPN act on it at once. On by default. */
  wakeUp?: boolean;
  renegotiateSeconds?: number;
  sessionTokens?: ServerConfigOptions["sessionTokens"];
  /** How often byte counts are told, at most; whole seconds. */
  pollIntervalMs?: number;
  /** At most 15 bytes, unique on the machine; made from the profile's id and the directory unless told. */
  device?: string;
  /** Whether this machine speaks IPv6. */
  ipv6: boolean;
};

const replyDeadlineMs = 10_000;
/** A process that runs and lets nobody connect for so long is ended: its clients could not be controlled. */
const unreachableMs = 10_000;
const connectEveryMs = 50;
const muteRetryMs = 2_000;
const graceMs = 8_000;
const backoffMs = { first: 250, longest: 30_000, healthyAfter: 30_000 } as const;
const boundLogEveryMs = 60_000;

/** One openvpn process and the connection to it: kept running, attached and within bounds until it is stopped. */
export class Listener {
  readonly #options: OpenVpnListenerOptions;
  readonly #where: { profileId: string; listener: string };
  readonly #log: Log;
  readonly #stopped = new AbortController();
  #stopHow: "end" | "leave" | undefined;
  #running: Promise<void> | undefined;
  #clients: Clients | undefined;
  #connection: ManagementConnection | undefined;
  /** Why it is not served, as far as it was told. */
  #lastFailure: string | undefined;

  constructor(options: OpenVpnListenerOptions, log: Log) {
    this.#options = options;
    this.#where = { profileId: options.profileId, listener: options.listener };
    this.#log = log;
  }

  /** Resolves when a server was attached, or when it has become clear that this takes longer. */
  start(events: DriverEvents): Promise<void> {
    const { profileId, listener, listen, wakeUp = true, ipv6 } = this.#options;
    const clients = new Clients({
      profileId,
      listener,
      wakeUp,
      events,
      pushed: pushedOptions(listen),
      plainIpv4: isPlainIpv4(listen, ipv6),
      send: (commands, terms) => this.#send(commands, terms),
      log: this.#log,
    });
    this.#clients = clients;
    return new Promise((settled) => {
      this.#running = this.#run(clients, events, settled);
    });
  }

  async stop(how: "end" | "leave"): Promise<void> {
    this.#stopHow ??= how;
    if (how === "end") this.#clients?.close();
    this.#stopped.abort();
    await this.#running;
    this.#clients?.stop();
  }

  get clients(): Clients {
    if (this.#clients === undefined) throw new SallyportError("driver-failed", "the OpenVPN driver was not started");
    return this.#clients;
  }

  status(): ListenerStatus {
    const server = this.#connection === undefined ? undefined : { pid: undefined, version: undefined };
    return { ...this.#where, ours: true, server, failure: server === undefined ? this.#lastFailure : undefined };
  }

  async #send(commands: readonly Command[], terms?: SendTerms): Promise<readonly Reply[]> {
    if (this.#connection === undefined) {
      throw new SallyportError("driver-failed", `openvpn of ${this.#where.listener} is not attached at the moment`);
    }
    return this.#connection.send(commands, terms);
  }

  async #run(clients: Clients, events: DriverEvents, settled: () => void): Promise<void> {
    const bounding = setInterval(() => {
      boundLog(listenerFiles(this.#options.directory).log).catch((error: unknown) =>
        this.#log.warn({ error }, "a log could not be cut"),
      );
    }, boundLogEveryMs);
    for (let failures = 0; this.#stopHow === undefined; ) {
      const startedAt = Date.now();
      try {
        const server = await this.#server();
        await this.#serve(server, clients, events, settled);
        if (this.#stopHow === undefined) {
          this.#lastFailure = await lastWordsOf(this.#options.directory);
          this.#log.error({ ...this.#where, pid: server.pid }, this.#lastFailure);
        }
      } catch (error) {
        this.#lastFailure = error instanceof Error ? error.message : String(error);
        this.#log.error({ ...this.#where, error }, "openvpn could not be started");
      }
      settled();
      if (this.#stopHow === "leave") break;
      clients.everybodyGone();
      failures = Date.now() - startedAt > backoffMs.healthyAfter ? 0 : failures + 1;
      await this.#pause(Math.min(backoffMs.first * 2 ** failures, backoffMs.longest));
    }
    clearInterval(bounding);
  }

  /** The server that runs already with the present configuration, or a new one. Others are ended. */
  async #server(): Promise<ServerProcess> {
    const { directory, files, program = "openvpn" } = this.#options;
    await makeListenerDirectory(directory);
    const config = this.#config();
    const print = await fingerprint(config, files, program);
    const found = await findServers(directory);
    const present = found.filter((server) => server.fingerprint === print).at(-1);
    for (const other of found.filter((server) => server !== present)) {
      this.#log.warn({ ...this.#where, pid: other.pid }, "ending an openvpn with another configuration");
      await endProcess(other, graceMs);
    }
    if (present !== undefined) {
      this.#log.info({ ...this.#where, pid: present.pid }, "found a running openvpn");
      return present;
    }
    return startServer({ directory, program, config, fingerprint: print });
  }

  #config(): string {
    const { profileId, listener, directory, listen, files, ranges, ipv6 } = this.#options;
    return serverConfig({
      listen,
      managementSocket: listenerFiles(directory).socket,
      files,
      ranges,
      device: this.#options.device ?? deviceName(profileId, listener, directory),
      renegotiateSeconds: this.#options.renegotiateSeconds ?? 3_600,
      sessionTokens: this.#options.sessionTokens,
      ipv6,
    });
  }

  /** Keeps a connection to a server for as long as it runs, and ends or leaves it when we are stopped. */
  async #serve(server: ServerProcess, clients: Clients, events: DriverEvents, settled: () => void): Promise<void> {
    let unreachableSince: number | undefined;
    while (this.#stopHow === undefined && (await isRunning(server))) {
      const closed = Promise.withResolvers<void>();
      try {
        await this.#attach(server, clients, events, closed.resolve);
        unreachableSince = undefined;
        settled();
        await Promise.race([closed.promise, this.#untilStopped()]);
        if (this.#stopHow === undefined) this.#log.warn({ ...this.#where }, "the connection to openvpn was lost");
      } catch (error) {
        if (isNobodyThere(error)) {
          unreachableSince ??= Date.now();
          if (Date.now() - unreachableSince > unreachableMs) {
            this.#log.error({ ...this.#where, pid: server.pid }, "openvpn lets nobody connect and is ended");
            await endProcess(server, graceMs);
          }
          await this.#pause(connectEveryMs);
        } else {
          this.#log.error({ ...this.#where, error }, "openvpn could not be attached; trying again");
          settled();
          await this.#pause(muteRetryMs);
        }
      }
      if (this.#stopHow === "end") {
        await endProcess(server, graceMs);
        // What it said last is still in the socket.
        if (this.#connection !== undefined) await Promise.race([closed.promise, pause(2_000)]);
      }
      if (this.#stopHow !== undefined) clients.stop();
      this.#connection?.close();
      this.#connection = undefined;
    }
    // Stopped while it was being started: it must not outlive us unattended.
    if (this.#stopHow === "end") await endProcess(server, graceMs);
  }

  async #attach(server: ServerProcess, clients: Clients, events: DriverEvents, onClose: () => void): Promise<void> {
    const { directory, pollIntervalMs = 30_000 } = this.#options;
    const attached = attach({
      socketPath: listenerFiles(directory).socket,
      identify: async ({ pid }) => {
        if (pid !== `${server.pid}`) {
          throw new SallyportError("driver-failed", `another process answers at the socket of ${server.pid}: ${pid}`);
        }
        return await wasAttached(directory, server);
      },
      holdOff: true,
      where: this.#where,
      byteCountEverySeconds: Math.max(1, Math.round(pollIntervalMs / 1_000)),
      deadlineMs: replyDeadlineMs,
      clients,
      events: {
        ...events,
        attached: async (listener, tunnels) => {
          await events.attached(listener, tunnels);
          await markAttached(directory, server);
        },
      },
      onConnected: (connection) => {
        this.#connection = connection;
      },
      onClose,
      log: this.#log,
    });
    await Promise.race([attached, this.#untilStopped()]);
  }

  #untilStopped(): Promise<void> {
    const { signal } = this.#stopped;
    return signal.aborted
      ? Promise.resolve()
      : new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }

  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
  }
}

/** Nobody listens at the socket: the server is just starting, or just ended. */
function isNobodyThere(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" || code === "ECONNREFUSED" || code === "EAGAIN" || code === "ECONNRESET";
}
