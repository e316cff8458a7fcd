import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

export type Received = { path: string; headers: IncomingHttpHeaders; body: string };
export type Respond = (response: ServerResponse, received: Received) => void;

export type Receiver = {
  url: string;
  received: Received[];
  /** How the next requests are answered. */
  respond: Respond;
  server: Server;
  close(): Promise<void>;
};

/** A web service on this machine that keeps what it gets. */
export async function openReceiver(
  options: { tls?: { key: string; cert: string }; port?: number } = {},
): Promise<Receiver> {
  const receiver = { received: [] as Received[], respond: status(204) };
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const body = (await request.toArray()).join("");
    const received = { path: request.url ?? "", headers: request.headers, body };
    receiver.received.push(received);
    receiver.respond(response, received);
  };
  const server = options.tls ? createTlsServer(options.tls, take) : createServer(take);
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(receiver, {
    url: `${options.tls ? "https" : "http"}://localhost:${port}/vpn`,
    server,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

export function status(code: number, headers: Record<string, string> = {}, body = ""): Respond {
  return (response) => void response.writeHead(code, headers).end(body);
}
