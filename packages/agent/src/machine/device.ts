import { randomUUID } from "node:crypto";
import { createSocket, type SocketType } from "node:dgram";
import { networkInterfaces } from "node:os";
import { readOwnFile, replaceFile } from "./private-directory.ts";

const addressForm = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const deadlineMs = 2_000;
/** Documentation's addresses (RFC 5737, RFC 3849): nothing but the default route leads there. */
const elsewhere: readonly [SocketType, string][] = [
  ["udp4", "192.0.2.1"],
  ["udp6", "2001:db8::1"],
];

/**
 * The hardware address of the default gateway's interface: of the one from which the system would send to somewhere else.
 * Nothing is sent. Undefined where there is no such route, or the interface has none.
 */
export async function gatewayHardwareAddress(): Promise<string | undefined> {
  for (const [type, target] of elsewhere) {
    const from = await sourceAddress(type, target);
    const entry = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .find(({ address }) => address === from);
    if (entry !== undefined && addressForm.test(entry.mac) && entry.mac !== "00:00:00:00:00:00") return entry.mac;
  }
  return undefined;
}

/** The system chooses it as soon as a datagram's socket has a target. */
async function sourceAddress(type: SocketType, target: string): Promise<string | undefined> {
  const socket = createSocket(type);
  let late: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve) => {
      late = setTimeout(() => resolve(undefined), deadlineMs);
      socket.once("error", () => resolve(undefined));
      socket.once("connect", () => resolve(socket.address().address));
      socket.connect(9, target);
    });
  } finally {
    clearTimeout(late);
    socket.close();
  }
}

/**
 * What this machine is called towards servers: the hardware address of the default gateway's interface, or, where there
 * is none, a UUID made once and kept.
 */
export async function deviceAddress(kept: string): Promise<string> {
  const address = await gatewayHardwareAddress();
  if (address !== undefined) return address;
  const uid = process.getuid?.() ?? 0;
  const before = (await readOwnFile(kept, { uid, mostBytes: 100 }))?.trim();
  if (before !== undefined && uuidForm.test(before)) return before;
  const made = randomUUID();
  await replaceFile(kept, `${made}\n`);
  return made;
}
