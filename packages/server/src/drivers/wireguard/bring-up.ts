import { createSocket } from "node:dgram";
import { access } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { createRunProgram } from "../../core/system-program.ts";
import { endProcess, type ProcessIdentity } from "../running-process.ts";
import type { Device } from "./device.ts";
import type { ManagedInterface } from "./driver-terms.ts";
import { kindOf } from "./interface-state.ts";
import { publicKeyOf } from "./keys.ts";
import { createUapiDevice, socketOf } from "./uapi-device.ts";
import { createWgDevice } from "./wg-device.ts";
import { findWireGuardGo, makeDirectory, startWireGuardGo } from "./wireguard-go.ts";

/** An interface that is there and can be spoken to. */
export type UpInterface = {
  device: Device;
  engine: "kernel" | "userspace";
  /** wireguard-go, where it is ours. */
  process: ProcessIdentity | undefined;
};

const usualMtu = 1_420;
const graceMs = 8_000;
const goneEveryMs = 25;
const run = createRunProgram({ deadlineMs: 20_000 });
/** wireguard-go makes its interface a moment before its socket, and takes both away one after the other. */
const settleMs = 2_000;

/**
 * The interface of a profile that is ours: one that outlived us as it is, peers and sessions untouched, or a new one, of
 * the kernel's module where there is one and of wireguard-go otherwise. Its key, port, addresses and MTU are then as they
 * should be.
 * @throws SallyportError `driver-failed`, and nothing half-made stays
 */
export async function bringUp(options: {
  name: string;
  directory: string;
  managed: ManagedInterface;
  log: Log;
}): Promise<UpInterface> {
  const { name, directory, managed, log } = options;
  await makeDirectory(directory);
  const found = await findInterface(name, directory);
  if (found === undefined) await expectFreePort(managed.listenPort);
  else if (found.engine === "userspace" && found.process === undefined) {
    const what = `the interface ${name} is not one of a wireguard-go in this network namespace`;
    throw new SallyportError("driver-failed", `${what}: choose another name, or attach to it (wireguard.attach)`);
  }
  const up = found ?? (await make(options));
  if (found !== undefined) log.info({ interface: name, engine: up.engine }, "found a running WireGuard interface");
  try {
    await configure(name, up.device, managed);
  } catch (error) {
    if (found === undefined) await takeDown(name, up);
    throw error;
  }
  return up;
}

/** An interface that somebody else runs. @throws SallyportError `driver-failed` where there is none of that name */
export async function findForeign(name: string, directory: string): Promise<UpInterface> {
  await makeDirectory(directory);
  const found = await findInterface(name, directory);
  if (found !== undefined) return { ...found, process: undefined };
  const what = `there is no WireGuard interface ${name}`;
  throw new SallyportError(
    "driver-failed",
    `${what}: bring it up (wg-quick up ${name}); it is looked for every few seconds`,
  );
}

/** Removes an interface of ours; resolves when it is gone. */
export async function takeDown(name: string, up: UpInterface): Promise<void> {
  if (up.process !== undefined) await endProcess(up.process, graceMs);
  if ((await kindOf(name)) === undefined) return;
  // The kernel's, or one whose wireguard-go was not found: it ends with its interface.
  await run("ip", ["link", "delete", "dev", name]);
  const end = Date.now() + graceMs;
  while ((await kindOf(name)) !== undefined) {
    if (Date.now() > end) throw new SallyportError("driver-failed", `the interface ${name} could not be removed`);
    await pause(goneEveryMs);
  }
}

async function findInterface(name: string, directory: string): Promise<UpInterface | undefined> {
  for (const end = Date.now() + settleMs; ; await pause(goneEveryMs)) {
    const kind = await kindOf(name);
    if (kind === undefined) return undefined;
    if (kind === "kernel") return { device: createWgDevice({ name, directory }), engine: kind, process: undefined };
    if (kind === "userspace") {
      const process = await findWireGuardGo(name);
      return { device: createUapiDevice({ socketPath: socketOf(name) }), engine: kind, process };
    }
    if (Date.now() > end) {
      const what = `there is an interface ${name} that WireGuard does not answer for`;
      throw new SallyportError("driver-failed", `${what}: remove it, or choose another name`);
    }
  }
}

async function make(options: { name: string; directory: string; managed: ManagedInterface }): Promise<UpInterface> {
  const { name, directory, managed } = options;
  const made = await run("ip", ["link", "add", "dev", name, "type", "wireguard"]);
  if (made.ok) return { device: createWgDevice({ name, directory }), engine: "kernel", process: undefined };
  // "Unknown device type", "Operation not supported": no module. Whatever else it is, wireguard-go has its own say.
  const process = await startWireGuardGo({ name, directory, program: managed.program ?? "wireguard-go" });
  return { device: createUapiDevice({ socketPath: socketOf(name) }), engine: "userspace", process };
}

/** Writes only what is otherwise: a key written again would end every session. */
async function configure(name: string, device: Device, managed: ManagedInterface): Promise<void> {
  const { privateKey, listenPort, addresses, mtu = usualMtu } = managed;
  const state = await device.read();
  // Interfaces give back a key with its meaningless bits cleared.
  const sameKey = state.privateKey !== null && publicKeyOf(state.privateKey) === publicKeyOf(privateKey);
  await device.write({
    ...(!sameKey && { privateKey }),
    ...(state.listenPort !== listenPort && { listenPort }),
  });
  const speaksSix = await access("/proc/net/if_inet6").then(
    () => true,
    () => false,
  );
  const here = addresses.filter((address) => speaksSix || !address.includes(":"));
  const commands = [
    ...here.map((address) => `address replace ${address} dev ${name}${address.includes(":") ? " nodad" : ""}`),
    `link set dev ${name} mtu ${mtu} up`,
  ];
  const ran = await run("ip", ["-batch", "-"], `${commands.join("\n")}\n`);
  if (!ran.ok) throw new SallyportError("driver-failed", `the interface ${name} could not be set up: ${ran.stderr}`);
}

/** wireguard-go would come up without it, and say so in its log alone. */
async function expectFreePort(port: number): Promise<void> {
  const socket = createSocket({ type: "udp4" });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ port, exclusive: true }, resolve);
    });
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    const next = "end what listens there, or choose another wireguard.managed.listenPort";
    throw new SallyportError("driver-failed", `UDP port ${port} cannot be had (${said}): ${next}`);
  } finally {
    socket.close();
  }
}
