import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRange } from "../../../src/core/address-range.ts";
import { createOpenVpnDriver, type OpenVpnListenerOptions } from "../../../src/drivers/openvpn/openvpn-driver.ts";
import { findServers } from "../../../src/drivers/openvpn/process.ts";
import { until } from "../../waiting.ts";
import { keepingLog } from "./keeping-log.ts";
import { createRecorder } from "./recorder.ts";

/**
 * A peer that speaks the lines of OpenVPN's management socket, behind a process that does nothing but live. It answers
 * every command with SUCCESS unless told otherwise, and says what the test wants.
 */
export type FakeOpenVpn = AsyncDisposable & {
  life(changes?: Partial<OpenVpnListenerOptions>): {
    driver: ReturnType<typeof createOpenVpnDriver>;
    told: ReturnType<typeof createRecorder>;
    log: ReturnType<typeof keepingLog>;
  };
  /** Everything that was written to it, a text a write. */
  writes: string[];
  /** Lines it received; those inside a `client-auth` belong to it. */
  commands: string[];
  /** Says lines; each may hold several, separated by newlines. */
  say(...lines: string[]): void;
  /** Said right after the greeting of the next connections. */
  afterGreeting: string[];
  /** Clients that `status 3` lists: `cid,common name,address,IPv4,IPv6`. */
  listed: string[];
  /** Replaces the reply to a command; undefined keeps SUCCESS, null says nothing. */
  reply: (command: string) => string | null | undefined;
  connections(): number;
  /** Closes the connection, as an OpenVPN that restarts its management does. */
  drop(): void;
  /** Ends the process, by its pid, without a word. */
  killServer(): Promise<void>;
  received(pattern: RegExp): Promise<string>;
};

const header =
  "HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tVirtual IPv6 Address\tBytes Received\tBytes Sent\tClient ID";

export async function openFakeOpenVpn(): Promise<FakeOpenVpn> {
  const home = await mkdtemp(join(tmpdir(), "fake-"));
  const directory = join(home, "udp");
  await mkdir(directory, { mode: 0o700 });
  const sleeper = join(home, "sleeper.mjs");
  await writeFile(sleeper, "setInterval(() => undefined, 1e6);\n");
  const program = join(home, "openvpn");
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${sleeper}' "$@"\n`);
  await chmod(program, 0o755);
  const files = { ca: sleeper, certificate: sleeper, key: sleeper, tlsCryptV2Key: sleeper };
  const lives: { driver: ReturnType<typeof createOpenVpnDriver> }[] = [];
  let socket: Socket | undefined;
  let connections = 0;

  const fake: FakeOpenVpn = {
    life: (changes = {}) => {
      const log = keepingLog();
      const listener: OpenVpnListenerOptions = {
        profileId: "office",
        listener: "udp/1194",
        listen: { transport: "udp", address: null, port: 1194 },
        directory,
        files,
        ranges: { ipv4: parseRange("10.42.0.0/20") },
        program,
        ipv6: true,
        ...changes,
      };
      const life = { driver: createOpenVpnDriver({ listeners: [listener], log }), told: createRecorder(), log };
      lives.push(life);
      return life;
    },
    writes: [],
    commands: [],
    say: (...lines) => void socket?.write(lines.map((line) => `${line.replaceAll("\n", "\r\n")}\r\n`).join("")),
    afterGreeting: [],
    listed: [],
    reply: () => undefined,
    connections: () => connections,
    drop: () => socket?.destroy(),
    killServer: async () => {
      for (const { pid } of await findServers(directory)) process.kill(pid, "SIGKILL");
      await until("the process to be gone", async () => (await findServers(directory)).length === 0);
      socket?.destroy();
    },
    received: (pattern) =>
      until(`${pattern} to be received`, () => fake.commands.find((command) => pattern.test(command)), {
        everyMs: 5,
        deadlineMs: 10_000,
        otherwise: () => fake.commands.join("\n"),
      }),
    [Symbol.asyncDispose]: async () => {
      for (const { driver } of lives) await driver.stop("leave");
      for (const { pid } of await findServers(directory)) process.kill(pid, "SIGKILL");
      await until("the process to be gone", async () => (await findServers(directory)).length === 0);
      socket?.destroy();
      await new Promise((closed) => server.close(closed));
      await rm(home, { recursive: true, maxRetries: 3 });
    },
  };

  const answer = async (command: string): Promise<void> => {
    fake.commands.push(command);
    const own = fake.reply(command);
    if (own === null) return;
    if (own !== undefined) return fake.say(own);
    const [word = "", argument] = command.split(/[ \n]/);
    if (word === "pid") {
      // This peer listens before its process has begun to look like one.
      const server = await until("the process", async () => (await findServers(directory))[0], { everyMs: 5 });
      return fake.say(`SUCCESS: pid=${server.pid}`);
    }
    if (word === "status" && argument === "3") {
      const clients = fake.listed.map((line) => {
        const [cid, commonName, address, ipv4, ipv6] = line.split(",");
        return ["CLIENT_LIST", commonName, address, ipv4, ipv6, 100 + Number(cid), 200 + Number(cid), cid].join("\t");
      });
      return fake.say("TITLE\tOpenVPN", header, ...clients, "END");
    }
    if (word === "version") return fake.say("OpenVPN Version: OpenVPN 2.6.14 x86_64-pc-linux-gnu", "END");
    if (word === "state" && argument === undefined)
      return fake.say("1795299833,CONNECTED,SUCCESS,10.42.0.1,,,,,", "END");
    fake.say(`SUCCESS: ${word} command succeeded`);
  };

  const server = createServer((connected) => {
    connections += 1;
    socket = connected;
    let rest = "";
    let block: string[] | undefined;
    let answering = Promise.resolve();
    connected.on("error", () => undefined);
    connected.on("data", (chunk) => {
      fake.writes.push(chunk.toString());
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.startsWith("client-auth ")) block = [line];
        else if (block !== undefined && line !== "END") block.push(line);
        else {
          const command = block === undefined ? line : block.join("\n");
          block = undefined;
          answering = answering.then(() => answer(command));
        }
      }
    });
    fake.say(">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info", ...fake.afterGreeting);
  });
  await new Promise<void>((listening) => server.listen(join(directory, "management.sock"), listening));
  return fake;
}

/** The lines of an event as openvpn 2.6.14 says it. */
export function eventLines(first: string, variables: Record<string, string> = {}): string {
  const lines = Object.entries(variables).map(([name, value]) => `>CLIENT:ENV,${name}=${value}`);
  return [`>CLIENT:${first}`, ...lines, ">CLIENT:ENV,END"].join("\n");
}

export function asking(first: string, changes: Record<string, string> = {}): string {
  return eventLines(first, {
    password: "secret",
    untrusted_port: "40000",
    untrusted_ip: "192.0.2.7",
    common_name: "laptop",
    username: "alice",
    IV_PROTO: "990",
    tls_serial_0: "17",
    X509_0_CN: "laptop",
    ...changes,
  });
}
