import { connect, createServer, type Socket } from "node:net";

/**
 * Speaks TCP from within a namespace: a server that says whom it sees and then repeats what it is told, and a client
 * of it, which can keep its connection.
 */
type Call = { id: number; method: keyof typeof methods; args: never[] };

/** Longer than the first packet, should it get lost, takes to be sent again, twice. */
const patienceMs = 4_000;
let kept: Socket | undefined;

const methods = {
  listen: (address: string, port: number) =>
    new Promise<void>((resolve, reject) => {
      const server = createServer((socket) => {
        socket.on("error", () => undefined);
        socket.write(`${socket.remoteAddress}\n`);
        socket.pipe(socket);
      });
      server.once("error", reject);
      server.listen(port, address, resolve);
    }),

  /** Whom the server saw, or null where it was not reached. */
  ask: async (address: string, port: number) => {
    const socket = connect({ host: address, port });
    const line = await lineFrom(socket);
    socket.destroy();
    return line;
  },

  /** The same, and stays connected. */
  open: (address: string, port: number) => {
    kept = connect({ host: address, port });
    return lineFrom(kept);
  },

  /** Whether an answer to a word comes over the connection that was kept. */
  say: async (word: string) => {
    if (kept === undefined) return null;
    kept.write(`${word}\n`);
    return await lineFrom(kept);
  },
};

function lineFrom(socket: Socket): Promise<string | null> {
  return new Promise((resolve) => {
    const settle = (line: string | null) => {
      clearTimeout(late);
      socket.removeAllListeners("data");
      resolve(line);
    };
    const late = setTimeout(() => settle(null), patienceMs);
    socket.once("error", () => settle(null));
    socket.once("data", (chunk) => settle(`${chunk}`.trim().replace("::ffff:", "")));
  });
}

process.on("message", async ({ id, method, args }: Call) => {
  const call = methods[method] as (...args: never[]) => Promise<unknown>;
  const result = await call(...args).catch((error: Error) => ({ error: error.message }));
  process.send?.({ id, result: result ?? null });
});
process.on("disconnect", () => process.exit());
process.send?.({ ready: true });
