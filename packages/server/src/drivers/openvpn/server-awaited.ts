import { once } from "node:events";
import { chmod, lstat, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";

/** A socket at which an OpenVPN server with `management-client` is awaited. */
export type ServerAwaited = {
  /** The next connection that comes. One that comes while another is there waits, the newest of them alone. */
  next(): Promise<Socket>;
  close(): Promise<void>;
};

/** @throws NodeJS.ErrnoException where the place cannot be listened at */
export async function awaitServer(at: { path: string } | { host: string; port: number }): Promise<ServerAwaited> {
  let waiting: Socket | undefined;
  let wanted = Promise.withResolvers<Socket>();
  const take = (socket: Socket) => {
    socket.on("error", () => undefined);
    waiting?.destroy();
    waiting = socket;
    wanted.resolve(socket);
  };
  const server = createServer({ pauseOnConnect: true }, take);
  if ("path" in at && (await lstat(at.path).catch(() => undefined))?.isSocket()) await rm(at.path, { force: true });
  server.listen(at);
  await once(server, "listening");
  // Whoever reaches it can play the server.
  if ("path" in at) await chmod(at.path, 0o600);
  return {
    async next() {
      const socket = await wanted.promise;
      wanted = Promise.withResolvers();
      waiting = undefined;
      return socket;
    },
    async close() {
      wanted.promise.catch(() => undefined);
      wanted.reject(new Error("nobody is awaited any more"));
      waiting?.destroy();
      server.close();
      if ("path" in at) await rm(at.path, { force: true });
    },
  };
}
