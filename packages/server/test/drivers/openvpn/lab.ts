import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAuthority } from "../../../src/client-configs/authority.ts";
import { openVpnFile } from "../../../src/client-configs/openvpn-file.ts";
import { parseRange } from "../../../src/core/address-range.ts";
import type { AccessRequest } from "../../../src/core/vpn-event.ts";
import type { Admission } from "../../../src/drivers/driver.ts";
import {
  createOpenVpnDriver,
  type OpenVpnDriver,
  type OpenVpnListenerOptions,
} from "../../../src/drivers/openvpn/openvpn-driver.ts";
import { findServers, type ServerProcess } from "../../../src/drivers/openvpn/process.ts";
import { createNetwork, type Network, SERVER_ADDRESS } from "../../e2e/lab/network.ts";
import { type Client, type ClientOptions, startClient } from "../../e2e/lab/openvpn-client.ts";
import { beginRun, presentRun } from "../../test-run.ts";
import { until } from "../../waiting.ts";
import { keepingLog } from "./keeping-log.ts";
import { createRecorder, type Recorder } from "./recorder.ts";

const profileId = "office";
const ranges = { ipv4: parseRange("10.42.0.0/20"), ipv6: parseRange("fd42:1::/64") };

/** A driver with its recorder, as one life of Sallyport has them. */
export type Life = { driver: OpenVpnDriver; told: Recorder; log: ReturnType<typeof keepingLog> };

/** The real openvpn in a namespace, started by the real driver, and stock clients in namespaces of their own. */
export type DriverLab = AsyncDisposable & {
  network: Network;
  home: string;
  directory: string;
  /** A new driver over the same directory: what a restarted Sallyport has. */
  life(changes?: Partial<OpenVpnListenerOptions>): Life;
  /** `user: undefined` makes one without credentials. `remote`: where it connects to instead, in OpenVPN's words. */
  client(name: string, options?: Partial<ClientOptions> & { remote?: string }): Promise<Client>;
  /** Breaks the connection between the driver and openvpn; only where the lab was opened with `proxy`. */
  cut(): void;
  /** The openvpn servers that run, found as the driver finds them. */
  servers(): Promise<ServerProcess[]>;
  serverLog(): Promise<string>;
};

export async function openDriverLab(options: { proxy?: boolean } = {}): Promise<DriverLab> {
  const run = presentRun() ?? (await beginRun());
  const home = await mkdtemp(join(tmpdir(), "driver-"));
  const directory = join(home, "udp-1194");
  const network = await createNetwork(run);
  const authority = await openAuthority({ directory: join(home, "pki") });
  const files = await authority.serverFiles(profileId);
  const program = join(home, "openvpn");
  const behind = join(home, "real.sock");
  const management = options.proxy ? `--management ${behind} unix` : "";
  await writeFile(program, `#!/bin/sh\nexec ip netns exec ${network.server.name} openvpn "$@" ${management}\n`);
  await chmod(program, 0o755);
  const clients: Client[] = [];
  const lives: Life[] = [];
  let started = 0;

  await mkdir(directory, { mode: 0o700 });
  const proxy = options.proxy ? await openProxy(join(directory, "management.sock"), behind) : undefined;

  const servers = () => findServers(directory);
  return {
    network,
    home,
    directory,
    cut: () => proxy?.cut(),
    life: (changes = {}) => {
      const log = keepingLog();
      const listener: OpenVpnListenerOptions = {
        profileId,
        listener: "udp/1194",
        listen: { transport: "udp", address: null, port: 1194 },
        directory,
        files,
        ranges: { ipv4: ranges.ipv4, ipv6: ranges.ipv6 },
        program,
        pollIntervalMs: 1_000,
        ipv6: true,
        ...changes,
      };
      const life = { driver: createOpenVpnDriver({ listeners: [listener], log }), told: createRecorder(), log };
      lives.push(life);
      return life;
    },
    client: async (name, { remote, ...clientOptions } = {}) => {
      const device = await authority.newDevice({ commonName: name, validForMs: 86_400_000 });
      const at = new Date();
      const kind = "user" in clientOptions && clientOptions.user === undefined ? "auto-login" : "user-locked";
      const ovpnText = openVpnFile({
        config: {
          id: name,
          userId: name,
          kind,
          createdAt: at.toISOString(),
          expiresAt: at.toISOString(),
        },
        profile: {
          id: profileId,
          displayName: "Office",
          hostName: SERVER_ADDRESS,
          listeners: [{ transport: "udp", port: 1194 }],
        },
        serverName: `sallyport-server-${profileId}`,
        staticChallenge: undefined,
        caPem: authority.caPem,
        certificatePem: device.certificatePem,
        keyPem: device.keyPem,
        tlsCryptV2Pem: device.tlsCryptV2Pem,
      });
      started += 1;
      const client = await startClient(network, join(home, `client-${started}`), {
        ovpnText: remote === undefined ? ovpnText : ovpnText.replace(/^remote .*$/m, `remote ${remote}`),
        user: name,
        password: `password of ${name}`,
        ...clientOptions,
      });
      clients.push(client);
      return client;
    },
    servers,
    serverLog: () => readFile(join(directory, "openvpn.log"), "utf8").catch(() => ""),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(clients.map((client) => client.kill()));
      for (const { driver } of lives) await driver.stop("leave");
      for (const { pid } of await servers()) process.kill(pid, "SIGKILL");
      await until("openvpn to be gone", async () => (await servers()).length === 0);
      proxy?.close();
      await network.close();
      await rm(home, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** Stands between the driver and openvpn's own socket, so that a test can break the connection. */
async function openProxy(path: string, behind: string): Promise<{ cut(): void; close(): void }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    const other = createConnection(behind);
    for (const [from, to] of [
      [socket, other],
      [other, socket],
    ] as const) {
      open.add(from);
      from.on("error", () => undefined);
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    cut,
    close: () => {
      cut();
      server.close();
    },
  };
}

/** What the n-th client gets: `10.42.0.(n + 1)` and `fd42:1::(n + 1)`. */
export function admissionOf(n: number, changes: Partial<Admission> = {}): Admission {
  return {
    kind: "connect",
    ipv4: { address: `10.42.0.${n + 1}`, prefixLength: 20, gateway: "10.42.0.1" },
    ipv6: { address: `fd42:1::${(n + 1).toString(16)}`, prefixLength: 64, gateway: "fd42:1::1" },
    routes: ["10.99.0.0/16", "fd99::/48"],
    dns: ["10.42.0.1", "fd42:1::1"],
    ...changes,
  };
}

/** Lets everybody in, each with the next address, and says yes to every renegotiation. */
export function admitEverybody({ driver, told }: Life): void {
  let count = 0;
  told.answer = (request: AccessRequest) => {
    if (request.kind === "connect") count += 1;
    driver.admit(request.tunnel, admissionOf(count, { kind: request.kind })).catch(() => undefined);
  };
}
