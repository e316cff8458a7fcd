import { parseAddress } from "../core/address-range.ts";
import type { Listener, OpenVpnAttached, SocketAddress } from "./config.ts";

function parsePort(text: string): number | undefined {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** Reads `192.0.2.1:1194` or `[::]:1194`. */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(text);
  const address = parseAddress(match?.[1] ?? match?.[2] ?? "");
  const port = parsePort(match?.[3] ?? "");
  if (address === undefined || port === undefined) return undefined;
  return { address, port };
}

/** Reads `vpn.example.org:51820`, `192.0.2.1:51820` or `[2001:db8::1]:51820`. */
export function parseEndpoint(text: string): { host: string; port: number } | undefined {
  const socket = parseSocketAddress(text);
  if (socket !== undefined) return { host: socket.address, port: socket.port };
  const match = /^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*):(\d+)$/.exec(
    text,
  );
  const [host = "", port] = [match?.[1], parsePort(match?.[4] ?? "")];
  return port === undefined || host.length > 253 ? undefined : { host, port };
}

/** Reads `udp/1194`, `udp/192.0.2.1:1194` or `udp/[::]:1194` (or `tcp/…`). */
export function parseListener(text: string): Listener | undefined {
  const match = /^(udp|tcp)\/(.*)$/.exec(text);
  const transport = match?.[1];
  const rest = match?.[2] ?? "";
  if (transport !== "udp" && transport !== "tcp") return undefined;
  const bare = parsePort(rest);
  if (bare !== undefined) return { name: `${transport}/${bare}`, transport, address: null, port: bare };
  const socket = parseSocketAddress(rest);
  if (socket === undefined) return undefined;
  return { name: `${transport}/${socketText(socket)}`, transport, ...socket };
}

/** Reads `unix:/run/office.sock` or `tcp:127.0.0.1:7505`, either with `listen:` in front. */
export function parseManagement(text: string): Pick<OpenVpnAttached, "name" | "management"> | undefined {
  const match = /^(listen:)?(unix|tcp):(.+)$/.exec(text);
  const [listen = "", kind, rest = ""] = match?.slice(1) ?? [];
  const role = listen === "" ? "connect" : "listen";
  // sockaddr_un holds 108 bytes with a final NUL.
  if (kind === "unix" && rest.startsWith("/") && !rest.includes("\0") && Buffer.byteLength(rest) <= 107) {
    return { name: text, management: { role, at: { path: rest } } };
  }
  const socket = kind === "tcp" ? parseSocketAddress(rest) : undefined;
  if (socket === undefined) return undefined;
  const at = { host: socket.address, port: socket.port };
  return { name: `${listen}tcp:${socketText(socket)}`, management: { role, at } };
}

export function socketText({ address, port }: SocketAddress): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

const everywhere = (address: string | null) => address === null || address === "::" || address === "0.0.0.0";

/** Whether two sockets cannot both be bound. `[::]` also takes IPv4, as Linux and OpenVPN have it. */
export function sameSocket(a: Omit<Listener, "name">, b: Omit<Listener, "name">): boolean {
  if (a.transport !== b.transport || a.port !== b.port) return false;
  return a.address === b.address || everywhere(a.address) || everywhere(b.address);
}
