import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { answersAt, socketOf } from "./uapi-device.ts";

/** Which kind of interface has this name here. `foreign`: one that is not WireGuard's, or wireguard-go's without its socket. */
export async function kindOf(name: string): Promise<"kernel" | "userspace" | "foreign" | undefined> {
  const uevent = await readFile(join(classDirectory, name, "uevent"), "utf8").catch(() => undefined);
  if (uevent === undefined) return undefined;
  if (/^DEVTYPE=wireguard$/m.test(uevent)) return "kernel";
  // Every tun has this file, and nothing else has.
  const isTun = await stat(join(classDirectory, name, "tun_flags")).catch(() => undefined);
  return isTun !== undefined && (await answersAt(socketOf(name))) ? "userspace" : "foreign";
}

/**
 * What tells one making of an interface from the next of the same name, over our own restarts. Undefined where there is
 * none.
 */
export async function identityOf(name: string): Promise<string | undefined> {
  const index = await readFile(join(classDirectory, name, "ifindex"), "utf8").catch(() => undefined);
  if (index === undefined) return undefined;
  bootId ??= (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "")).trim();
  // wireguard-go makes its socket anew; a kernel's interface has none.
  const socket = await stat(socketOf(name), { bigint: true }).catch(() => undefined);
  return [bootId, index.trim(), ...(socket === undefined ? [] : [`${socket.ino}.${socket.ctimeNs}`])].join(" ");
}

let bootId: string | undefined;
const classDirectory = "/sys/class/net";
