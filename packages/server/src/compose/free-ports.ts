import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Config } from "../config/config.ts";
import { SallyportError } from "../core/errors.ts";

type Port = { profileId: string; transport: "udp" | "tcp"; address: string | null; port: number };

/**
 * Nobody else listens where the managed profiles of a configuration are to listen. OpenVPN itself would find out only
 * after it was started, and try again and again.
 * @throws SallyportError `conflict` naming the first port that cannot be had, and why
 */
export async function requireFreePorts(config: Config): Promise<void> {
  for (const wanted of portsOf(config)) {
    const error = await taken(wanted);
    if (error === undefined) continue;
    const { profileId, transport, address, port } = wanted;
    const where = `${transport}/${address === null ? "" : `${address}:`}${port}`;
    const why =
      error.code === "EADDRINUSE"
        ? "another program listens there"
        : `it cannot be had (${error.code ?? error.message})`;
    throw new SallyportError("conflict", `profile ${profileId} cannot listen at ${where}: ${why}`);
  }
}

function portsOf({ profiles }: Config): Port[] {
  return profiles.flatMap(({ id: profileId, tunnel }): Port[] => {
    if (tunnel.mode !== "managed") return [];
    if (tunnel.protocol === "wireguard")
      return [{ profileId, transport: "udp", address: null, port: tunnel.listenPort }];
    return tunnel.listeners.map(({ transport, address, port }) => ({ profileId, transport, address, port }));
  });
}

/** Listens there for a moment. */
async function taken({ transport, address, port }: Port): Promise<NodeJS.ErrnoException | undefined> {
  const everywhere = address ?? "::";
  const fault = await tryOn(transport, everywhere, port);
  // A machine without IPv6.
  if (address === null && (fault?.code === "EAFNOSUPPORT" || fault?.code === "EADDRNOTAVAIL"))
    return await tryOn(transport, "0.0.0.0", port);
  return fault;
}

async function tryOn(transport: "udp" | "tcp", host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  const socket = transport === "udp" ? createSocket(host.includes(":") ? "udp6" : "udp4") : createServer();
  try {
    const listening = once(socket, "listening");
    if ("bind" in socket) socket.bind({ port, address: host, exclusive: true });
    else socket.listen({ port, host, exclusive: true });
    await listening;
    return undefined;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  } finally {
    await new Promise<void>((closed) => {
      try {
        socket.close(() => closed());
      } catch {
        // It never listened.
        closed();
      }
    });
  }
}
