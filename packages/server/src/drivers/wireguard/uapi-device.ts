import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { getSystemErrorMessage } from "node:util";
import { SallyportError } from "../../core/errors.ts";
import { checkChange, type Device, type DeviceState } from "./device.ts";
import { AnswerReader, encodeChange, readRequest } from "./uapi-codec.ts";

/** Where wireguard-go and `wg` meet, for all network namespaces of a machine. */
export const socketDirectory = "/var/run/wireguard";

export const socketOf = (name: string, directory: string = socketDirectory) => join(directory, `${name}.sock`);

/** An answer may take so long without a byte of progress: ten thousand peers take wireguard-go about a second. */
const silenceDeadlineMs = 20_000;

/** An interface of wireguard-go, through its socket: one connection an operation. */
export function createUapiDevice(options: { socketPath: string; deadlineMs?: number }): Device {
  const { socketPath, deadlineMs = silenceDeadlineMs } = options;
  return {
    read: () => operate({ socketPath, deadlineMs, what: "read", pieces: [readRequest] }),
    write: async (change) => {
      await checkChange(change);
      // wireguard-go works on the first peers while the last are being encoded.
      await operate({ socketPath, deadlineMs, what: "change", pieces: encodeChange(change) });
    },
  };
}

/** Whether anybody answers at a socket; a file of one that was killed may still be there. */
export async function answersAt(socketPath: string): Promise<boolean> {
  const socket = createConnection(socketPath);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function operate(options: {
  socketPath: string;
  deadlineMs: number;
  what: "read" | "change";
  pieces: Iterable<string>;
}): Promise<DeviceState> {
  const { socketPath, deadlineMs, what } = options;
  const socket = createConnection(socketPath);
  socket.setTimeout(deadlineMs, () =>
    socket.destroy(new SallyportError("driver-failed", `wireguard-go gave no answer within ${deadlineMs} ms`)),
  );
  const reader = new AnswerReader();
  const answered = new Promise<void>((resolve, reject) => {
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      try {
        if (reader.take(text)) resolve();
      } catch (error) {
        reject(error);
      }
    });
    socket.on("error", reject);
    socket.once("close", () => reject(new SallyportError("driver-failed", "wireguard-go closed its socket")));
  });
  try {
    // A refusal comes before all was written, and says more than the broken pipe that follows it.
    send(socket, options.pieces).catch(() => undefined);
    await answered;
  } catch (error) {
    if (error instanceof SallyportError) throw error;
    const said = error instanceof Error ? error.message : String(error);
    throw new SallyportError("driver-failed", `wireguard-go cannot be reached: ${said}`, { cause: error });
  } finally {
    socket.destroy();
  }
  const { errno = 0 } = reader;
  if (errno !== 0) throw new SallyportError("driver-failed", `wireguard-go refused a ${what}: ${errorName(errno)}`);
  return reader.state;
}

async function send(socket: Socket, pieces: Iterable<string>): Promise<void> {
  for (const piece of pieces) {
    await new Promise<void>((resolve, reject) => {
      socket.write(piece, "latin1", (error) => (error ? reject(error) : resolve()));
    });
  }
}

function errorName(errno: number): string {
  const name = errno < 0 ? getSystemErrorMessage(errno) : undefined;
  return name === undefined ? `errno ${errno}` : `${name} (errno ${errno})`;
}
