import { connect, createServer, type Socket } from "node:net";

/** Stands between a client and a server on loopback, and can be made to behave badly. */
export type TcpRelay = {
  port: number;
  /** Connections made so far. */
  connections(): number;
  /** Everything clients sent. */
  sent(): Buffer;
  /** Cuts every connection now. */
  cut(): void;
  stop(): Promise<void>;
};

export async function startTcpRelay(
  to: number,
  onData: (
    from: "client" | "server",
    data: Buffer,
    ends: { client: Socket; server: Socket },
  ) => Buffer | undefined | Promise<Buffer | undefined> = (_from, data) => data,
): Promise<TcpRelay> {
  const sockets = new Set<Socket>();
  const sent: Buffer[] = [];
  let connections = 0;
  const server = createServer((client) => {
    connections += 1;
    const upstream = connect(to, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    const ends = { client, server: upstream };
    // One after the other, so that a slow answer does not overtake.
    let queue = Promise.resolve();
    const pass = (from: "client" | "server", data: Buffer, out: Socket) => {
      queue = queue.then(async () => {
        const passed = await onData(from, data, ends);
        if (passed !== undefined && !out.destroyed) out.write(passed);
      });
    };
    client.on("data", (data: Buffer) => {
      sent.push(data);
      pass("client", data, upstream);
    });
    upstream.on("data", (data: Buffer) => pass("server", data, client));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as { port: number };
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    connections: () => connections,
    sent: () => Buffer.concat(sent),
    cut,
    async stop() {
      cut();
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}
