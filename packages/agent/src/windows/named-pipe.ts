import { closeSync } from "node:fs";
import { Socket, type SocketConstructorOpts } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { windowsAccounts } from "./accounts.ts";
import { handleCalls, INVALID_HANDLE_VALUE, OPEN_EXISTING } from "./handles.ts";
import { pipeBufferBytes, pipeInstances } from "./pipe-instance.ts";
import { windowsSecurity } from "./security.ts";
import { inBackground, openedOnce, systemLibraries, WindowsError } from "./system-libraries.ts";

/*
 * Named pipes with what Node's own have not: rights, the account at the other end, and whose pipe it is. Both ends become
 * an ordinary socket of Node's.
 */

const FILE_FLAG_OVERLAPPED = 0x40000000;
const PIPE_UNLIMITED_INSTANCES = 255;
/*
 * Who we are may be asked; nothing may be done in our name. Without SECURITY_CONTEXT_TRACKING among the flags it is who we
 * are when we open it, which the service can ask at once. Of a client with that flag, or with no word about it as Node's own
 * have none, Windows tells nothing before something was read from it.
 */
const SECURITY_SQOS_PRESENT_IDENTIFICATION = 0x110000;
const INFINITE = 0xffffffff;
const ERROR_FILE_NOT_FOUND = 2;
const ERROR_ACCESS_DENIED = 5;
const ERROR_PIPE_BUSY = 231;
const ERROR_PIPE_CONNECTED = 535;
const ERROR_IO_PENDING = 997;

/**
 * What a client needs: to read, write and ask. It is less than GENERIC_WRITE, which also lets make another instance of the
 * pipe: whoever has that can sit beside the service and be taken for it.
 */
export const clientRights = 0x12019b;

const busyForMs = 5_000;
const busyEachMs = 20;
const mendingMs = 500;
const heldForMs = 10_000;

export type PipeServer = { close(): Promise<void> };

/**
 * Listens at a pipe of this machine that nobody else has. `onClient` gets each client of it with the account that opened
 * it, by its security identifier; without one nobody knows whose it is. While one client is being looked at the next
 * instance is there already.
 * @throws WindowsError where somebody else holds the name
 */
export async function listenAtPipe(
  path: string,
  terms: {
    /** Owner and rights (SDDL). */
    sddl: string;
    onClient: (socket: Socket, sid: string | undefined) => void;
    log: (text: string) => void;
  },
): Promise<PipeServer> {
  const { sddl, onClient, log } = terms;
  const { lastError } = await systemLibraries();
  const security = await windowsSecurity();
  const accounts = await windowsAccounts();
  const makeInstance = await pipeInstances();
  const calls = await pipeCalls();
  const handles = await handleCalls();

  const newInstance = (first: boolean): number =>
    security.withAttributes(sddl, (attributes) =>
      makeInstance(path, { first, most: PIPE_UNLIMITED_INSTANCES, attributes }),
    );
  /** What a service that was killed had is there for as long as one of its clients holds on to it. */
  const firstInstance = async (): Promise<number> => {
    const until = performance.now() + heldForMs;
    for (;;) {
      try {
        return newInstance(true);
      } catch (error) {
        const held = error instanceof WindowsError && error.code === ERROR_ACCESS_DENIED;
        if (!held || performance.now() > until) throw error;
        await sleep(mendingMs);
      }
    }
  };
  const event: number = calls.createEvent(null, 1, 0, null);
  if (event === 0) throw lastError("CreateEventW");
  let instance = await firstInstance().catch((error) => {
    handles.close(event);
    throw error;
  });
  // OVERLAPPED: Windows writes to it for as long as the call is pending.
  const overlapped = Buffer.alloc(32);
  overlapped.writeBigInt64LE(BigInt(event), 24);
  let closing = false;

  /** False where nobody came: it was closed, or the client has gone already. */
  const clientCame = async (): Promise<boolean> => {
    calls.resetEvent(event);
    if (calls.connectPipe(instance, overlapped) !== 0) return true;
    const { code } = lastError("ConnectNamedPipe");
    if (code === ERROR_PIPE_CONNECTED) return true;
    if (code !== ERROR_IO_PENDING) return false;
    await inBackground(handles.wait, event, INFINITE);
    return calls.result(instance, overlapped, [0], 0) !== 0;
  };
  const takeOver = (handle: number): void => {
    let sid: string | undefined;
    // Also of one that opened it in another way than ours do (below): it is no agent, and may as well not be known.
    try {
      sid = accounts.ofPipeClient(handle);
    } catch (error) {
      log(`nobody knows who is at ${path}: ${(error as Error).message}`);
    }
    const socket = pipeSocket(handles, handle);
    if (socket === undefined) return;
    try {
      onClient(socket, sid);
    } catch (error) {
      log(`a client of ${path}: ${(error as Error).message}`);
      socket.destroy();
    }
  };
  const loop = async (): Promise<void> => {
    while (!closing) {
      const came = await clientCame();
      if (closing) break;
      const present = instance;
      // Another at once, so that there is always one: whoever makes the first says who may do what.
      instance = -1;
      while (instance === -1 && !closing) {
        try {
          instance = newInstance(false);
        } catch (error) {
          log((error as Error).message);
          await sleep(mendingMs);
        }
      }
      if (came && !closing) takeOver(present);
      else handles.close(present);
      // Clients that stand in line must not keep everybody else waiting.
      await sleep(0);
    }
    if (instance !== -1) handles.close(instance);
    handles.close(event);
  };
  const looping = loop();
  return {
    close: async () => {
      if (!closing) {
        closing = true;
        calls.cancel(instance, overlapped);
      }
      await looping;
    },
  };
}

/** Why a pipe is not spoken to: somebody else's program listens there. */
export class ForeignPipe extends Error {}

/**
 * A pipe of this machine, where it belongs to somebody whom `isOwner` (by SDDL, `O:…`) takes; undefined where nobody
 * listens. Nothing is sent before, and whoever listens can learn who we are and not act as us.
 * @throws ForeignPipe where it is another's; WindowsError
 */
export async function connectToPipe(path: string, isOwner: (sddl: string) => boolean): Promise<Socket | undefined> {
  const { lastError } = await systemLibraries();
  const security = await windowsSecurity();
  const handles = await handleCalls();
  const flags = FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT_IDENTIFICATION;
  const until = performance.now() + busyForMs;
  for (;;) {
    const handle: number = handles.createFile(path, clientRights, 0, null, OPEN_EXISTING, flags, 0);
    if (handle !== INVALID_HANDLE_VALUE) {
      let owner: string;
      try {
        owner = security.ownerOf(handle);
      } catch (error) {
        handles.close(handle);
        throw error;
      }
      if (isOwner(owner)) return pipeSocket(handles, handle);
      handles.close(handle);
      throw new ForeignPipe("it belongs neither to the system nor to administrators");
    }
    const error = lastError(path);
    if (error.code === ERROR_FILE_NOT_FOUND) return undefined;
    // Ours lets everybody in who signed in: whoever keeps us out is another.
    if (error.code === ERROR_ACCESS_DENIED) throw new ForeignPipe("it lets nobody in");
    if (error.code !== ERROR_PIPE_BUSY || performance.now() > until) throw error;
    await sleep(busyEachMs);
  }
}

const pipeCalls = openedOnce(({ kernel32 }) => ({
  createEvent: kernel32.func("intptr_t __stdcall CreateEventW(void *attributes, int manual, int set, void *name)"),
  resetEvent: kernel32.func("int __stdcall ResetEvent(intptr_t event)"),
  connectPipe: kernel32.func("int __stdcall ConnectNamedPipe(intptr_t pipe, void *overlapped)"),
  result: kernel32.func(
    "int __stdcall GetOverlappedResult(intptr_t file, void *overlapped, _Out_ uint32_t *bytes, int wait)",
  ),
  cancel: kernel32.func("int __stdcall CancelIoEx(intptr_t file, void *overlapped)"),
}));

/** A handle as Node's socket, which closes it; undefined where it is no pipe any more. */
function pipeSocket(handles: Awaited<ReturnType<typeof handleCalls>>, handle: number): Socket | undefined {
  const fd: number = handles.descriptorOf(handle);
  if (fd === -1) {
    handles.close(handle);
    return undefined;
  }
  try {
    // libuv would make a buffer as long as all that was written at the other end, however much that is.
    const buffer = Buffer.alloc(pipeBufferBytes);
    const callback = (length: number) => socket.emit("data", Buffer.from(buffer.subarray(0, length)));
    const options: SocketConstructorOpts = { fd, readable: true, writable: true, onread: { buffer, callback } };
    const socket = new Socket(options);
    return socket;
  } catch {
    closeSync(fd);
    return undefined;
  }
}
