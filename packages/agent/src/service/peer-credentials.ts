import type { Socket } from "node:net";

/** Who is at the other end of a unix socket, as the kernel knows it. */
export type PeerCredentials = { uid: number; gid: number };

export type PeerCredentialsReader = (socket: Socket) => PeerCredentials | undefined;

// Of Linux's headers, the same on every architecture that Node runs on but MIPS and SPARC.
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/**
 * What reads a peer's credentials: those at the time it connected, so that nobody can pass for somebody else later.
 * @throws Error where the library that asks the kernel cannot be loaded
 */
export async function peerCredentialsReader(): Promise<PeerCredentialsReader> {
  if (process.platform === "linux") return await readerBySocketOption("libc.so.6");
  // Its file is none: the system keeps its libraries in a cache, and loads them by these names.
  if (process.platform === "darwin") return await readerByGetpeereid("/usr/lib/libSystem.B.dylib");
  throw new Error(`who connects to the privileged service is not known on ${process.platform}`);
}

/** By SO_PEERCRED (unix(7)). */
async function readerBySocketOption(library: string): Promise<PeerCredentialsReader> {
  const { default: koffi } = await import("koffi");
  const getsockopt = koffi
    .load(library)
    .func("int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ uint32_t *length)");
  return (socket) => {
    const fd = descriptorOf(socket);
    const value = Buffer.alloc(12);
    const length = [value.length];
    if (fd === undefined || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length) !== 0 || length[0] !== 12)
      return undefined;
    return { uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
  };
}

/** By getpeereid(3), which BSD's systems have, macOS among them, and Debian's libbsd. */
export async function readerByGetpeereid(library: string): Promise<PeerCredentialsReader> {
  const { default: koffi } = await import("koffi");
  const getpeereid = koffi.load(library).func("int getpeereid(int fd, _Out_ uint32_t *uid, _Out_ uint32_t *gid)");
  return (socket) => {
    const fd = descriptorOf(socket);
    const uid: (number | null)[] = [null];
    const gid: (number | null)[] = [null];
    if (fd === undefined || getpeereid(fd, uid, gid) !== 0) return undefined;
    // Never root for want of an answer.
    if (typeof uid[0] !== "number" || typeof gid[0] !== "number") return undefined;
    return { uid: uid[0], gid: gid[0] };
  };
}

/** Node has no other way to its sockets' descriptors. */
function descriptorOf(socket: Socket): number | undefined {
  const fd = (socket as Socket & { _handle?: { fd?: number } })._handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}
