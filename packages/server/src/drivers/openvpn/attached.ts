import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { Secret } from "../../core/secret.ts";
import type { DriverEvents } from "../driver.ts";
import { isRunning, type ProcessIdentity, startTimeOf } from "../running-process.ts";
import { attach, type ServerIdentity } from "./attach.ts";
import { Clients } from "./clients.ts";
import { type Command, listCommand, plainCommand } from "./commands.ts";
import type { ListenerStatus } from "./listener-status.ts";
import { connectTo, type ManagementConnection, type Reply, type SendTerms } from "./management.ts";
import type { Message } from "./messages.ts";
import { awaitServer, type ServerAwaited } from "./server-awaited.ts";
import { signIn } from "./sign-in.ts";

/** An OpenVPN server that somebody else runs, and how it is reached. */
export type AttachedListenerOptions = {
  profileId: string;
  /** The listener's name in tunnels and in the ledger. */
  listener: string;
  management: ManagementPlace;
  /** With the password of the management socket, one line; read at each connect. */
  passwordFile: string | undefined;
  /** Remembers which process was attached. Absolute. */
  stateFile: string;
  wakeUp: boolean;
  pollIntervalMs?: number;
};

/** `listen`: the server connects to us (`management-client`). */
export type ManagementPlace = { role: "connect" | "listen"; at: { path: string } | { host: string; port: number } };

/** What an attached server said of itself. */
export type AttachedServer = { pid: number | undefined; version: string };

const replyDeadlineMs = 10_000;
const retryMs = { first: 250, longest: 5_000 } as const;
const longestStartMs = 2_000;
/** How long the server's word is waited for when its clients are ended: it lets go within 6 s. */
const endClientsMs = 8_000;
const checkEndedMs = 50;

/**
 * The connection to an OpenVPN server that is not ours, kept up until it is stopped. The server is never started, ended
 * or held up: whoever was let in stays while nobody is attached, and whoever comes waits.
 */
export class AttachedListener {
  readonly #options: AttachedListenerOptions;
  readonly #where: { profileId: string; listener: string };
  readonly #log: Log;
  readonly #stopped = new AbortController();
  #stopHow: "end" | "leave" | undefined;
  #running: Promise<void> | undefined;
  #clients: Clients | undefined;
  #connection: ManagementConnection | undefined;
  #awaited: ServerAwaited | undefined;
  #server: AttachedServer | undefined;
  /** The server's process, where it runs on this machine and can be seen from here. */
  #process: ProcessIdentity | undefined;
  #lastFailure: string | undefined;

  constructor(options: AttachedListenerOptions, log: Log) {
    this.#options = options;
    this.#where = { profileId: options.profileId, listener: options.listener };
    this.#log = log;
  }

  /** Resolves when the server was attached, or when it has become clear that this takes longer. */
  start(events: DriverEvents): Promise<void> {
    const clients = new Clients({
      ...this.#where,
      wakeUp: this.#options.wakeUp,
      pendingAuth: () => !/^2\.[0-5](\D|$)/.test(this.#server?.version ?? ""),
      namesMayBeUsers: true,
      events,
      // What the server gives all its clients is its administrator's to say.
      pushed: [],
      // Which family its socket is of cannot be asked.
      plainIpv4: false,
      send: (commands, terms) => this.#send(commands, terms),
      log: this.#log,
    });
    this.#clients = clients;
    return new Promise((settled) => {
      // A server that is to connect to us may not even run yet.
      const late = setTimeout(settled, longestStartMs);
      this.#running = this.#run(clients, events, settled).finally(() => clearTimeout(late));
    });
  }

  /** `end`: its clients are ended, and told that they may come back; the server itself goes on. */
  async stop(how: "end" | "leave"): Promise<void> {
    this.#stopHow ??= how;
    if (how === "end" && this.#clients !== undefined && this.#connection !== undefined) {
      await this.#endClients(this.#clients);
    }
    this.#stopped.abort();
    await this.#awaited?.close();
    await this.#running;
  }

  get clients(): Clients {
    if (this.#clients === undefined) throw new SallyportError("driver-failed", "the OpenVPN driver was not started");
    return this.#clients;
  }

  status(): ListenerStatus {
    return { ...this.#where, ours: false, server: this.#server, failure: this.#lastFailure };
  }

  async #send(commands: readonly Command[], terms?: SendTerms): Promise<readonly Reply[]> {
    if (this.#connection === undefined) {
      throw new SallyportError("driver-failed", `the server at ${this.#where.listener} is not attached at the moment`);
    }
    return this.#connection.send(commands, terms);
  }

  async #run(clients: Clients, events: DriverEvents, settled: () => void): Promise<void> {
    for (let failures = 0; this.#stopHow === undefined; failures += 1) {
      const closed = Promise.withResolvers<void>();
      try {
        await Promise.race([this.#attach(clients, events, closed.resolve), this.#untilStopped()]);
        settled();
        this.#lastFailure = undefined;
        failures = 0;
        await Promise.race([closed.promise, this.#untilStopped()]);
        if (!this.#stopped.signal.aborted) this.#log.warn({ ...this.#where }, "the connection to openvpn was lost");
      } catch (error) {
        const failure = error instanceof Error ? error.message : String(error);
        // Said once, and not at every try.
        if (failure !== this.#lastFailure) this.#log.error({ ...this.#where, error }, "openvpn cannot be attached");
        this.#lastFailure = failure;
        settled();
      }
      if (this.#stopped.signal.aborted) clients.stop();
      this.#connection?.close();
      this.#connection = undefined;
      this.#server = undefined;
      if (!this.#stopped.signal.aborted) await this.#noticeItsEnd(clients);
      await this.#pause(Math.min(retryMs.first * 2 ** failures, retryMs.longest));
    }
    settled();
    clients.stop();
  }

  async #attach(clients: Clients, events: DriverEvents, onClose: () => void): Promise<void> {
    const { listener, stateFile, pollIntervalMs = 30_000 } = this.#options;
    let mark = "";
    await attach({
      socketPath: listener,
      connect: () => this.#connect(),
      identify: async (server) => {
        this.#process = await openvpnWithPid(server.pid);
        mark = markOf(server, this.#process);
        this.#server = { pid: server.pid === "" ? undefined : Number(server.pid), version: server.version };
        return (await readFile(stateFile, "utf8").catch(() => "")) === mark;
      },
      // Whether it waits for us when it restarts itself is its administrator's to say.
      holdOff: false,
      where: this.#where,
      byteCountEverySeconds: Math.max(1, Math.round(pollIntervalMs / 1_000)),
      deadlineMs: replyDeadlineMs,
      clients,
      events: {
        ...events,
        attached: async (where, tunnels) => {
          await events.attached(where, tunnels);
          await writeMark(stateFile, mark);
        },
      },
      onConnected: (connection) => {
        this.#connection = connection;
      },
      onClose,
      watch: (message, connection) => this.#watch(message, connection),
      log: this.#log,
    });
  }

  async #connect(): Promise<Socket> {
    const { listener, management, passwordFile } = this.#options;
    const { at } = management;
    if (management.role === "listen") this.#awaited ??= await awaitServer(at);
    const socket = await (this.#awaited?.next() ?? connectTo(at));
    const password = passwordFile === undefined ? undefined : await readPassword(passwordFile);
    await signIn(socket, { password, deadlineMs: replyDeadlineMs, name: listener });
    return socket;
  }

  /** A server that restarts itself may be held until it is released, and numbers its clients anew. */
  #watch(message: Message, connection: ManagementConnection): void {
    if (message.kind === "hold") this.#inBackground(connection.send([plainCommand("hold", "release")]));
    if (message.kind === "state" && message.name === "CONNECTED") this.#inBackground(this.#markAgain(connection));
  }

  async #markAgain(connection: ManagementConnection): Promise<void> {
    const [state] = await connection.send([listCommand("state")]);
    const since = state?.lines.at(-1)?.split(",")[0] ?? "";
    await writeMark(this.#options.stateFile, markOf({ pid: `${this.#server?.pid ?? ""}`, since }, this.#process));
  }

  /** Its tunnels end with it; of a server that cannot be seen from here that is known only when it answers again. */
  async #noticeItsEnd(clients: Clients): Promise<void> {
    if (this.#process === undefined || (await isRunning(this.#process))) return;
    this.#process = undefined;
    clients.everybodyGone();
  }

  async #endClients(clients: Clients): Promise<void> {
    clients.close();
    const ending = clients.live();
    const clientReason = "The VPN is restarting.";
    const told = ending.map((tunnel) => clients.disconnect(tunnel, { mayReturn: true, clientReason }));
    await Promise.allSettled(told);
    const deadline = Date.now() + endClientsMs;
    while (clients.live().length > 0 && Date.now() < deadline && this.#connection?.closed === false) {
      await pause(checkEndedMs);
    }
    const left = clients.live().length;
    if (left > 0) {
      this.#log.warn(
        { ...this.#where, left },
        "openvpn did not end all its clients in time; the next start sees to them",
      );
    }
  }

  #inBackground(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#log.warn({ ...this.#where, error }, "openvpn could not be told"));
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

/** The same process, not restarted in between: only then do its numbers mean the same clients. */
function markOf({ pid, since }: Pick<ServerIdentity, "pid" | "since">, process: ProcessIdentity | undefined): string {
  return `${pid} ${process?.startTime ?? "-"} ${since}\n`;
}

/** In another pid namespace the same number is another program, or none. */
async function openvpnWithPid(text: string): Promise<ProcessIdentity | undefined> {
  const name = await readFile(`/proc/${text}/comm`, "utf8").catch(() => "");
  const startTime = name.startsWith("openvpn") ? await startTimeOf(Number(text)) : undefined;
  return startTime === undefined ? undefined : { pid: Number(text), startTime };
}

async function writeMark(file: string, mark: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.new`, mark, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

async function readPassword(file: string): Promise<Secret> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw new SallyportError("driver-failed", `the password file ${file} cannot be read`, { cause: error });
  });
  return new Secret(text.split(/\r?\n/)[0] ?? "");
}
