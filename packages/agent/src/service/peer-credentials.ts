import type { Socket } from "node:net";

/** Who is at the other end of a unix socket, as the kernel knows it. */
export type PeerCredentials = { pid: number; uid: number; gid: number };

// Of Linux's headers, the same on every architecture that Node runs on but MIPS and SPARC.
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/**
 * What reads a peer's credentials (SO_PEERCRED, unix(7)): those at the time it connected, so that nobody can pass for
 * somebody else later. Linux only. @throws Error where the library that asks the kernel cannot be loaded
 */
export async function peerCredentialsReader(): Promise<(socket: Socket) => PeerCredentials | undefined> {
  if (process.platform !== "linux") throw new Error("the privileged service runs on Linux only so far");
  const { default: koffi } = await import("koffi");
  const libc = koffi.load("libc.so.6");
  const getsockopt = libc.func(
    "int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ uint32_t *length)",
  );
  return (socket) => {
    // Node has no other way to its sockets' descriptors.
    const fd = (socket as Socket & { _handle?: { fd?: number } })._handle?.fd;
    if (fd === undefined || fd < 0) return undefined;
    const value = Buffer.alloc(12);
    const length = [value.length];
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length) !== 0 || length[0] !== 12) return undefined;
    return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
  };
}
