import { type AddressRange, parseRange } from "../core/address-range.ts";
import type { Secret } from "../core/secret.ts";
import type { Admission } from "../drivers/driver.ts";
import type { ClientConfig } from "../store/store.ts";
import { onOneLine } from "./openvpn-file.ts";

export type WireGuardFile = {
  config: Pick<ClientConfig, "id" | "userId" | "createdAt" | "expiresAt">;
  profile: { id: string; displayName: string };
  /** Null where the device made its key itself: the file is then to be completed there. */
  privateKey: Secret | null;
  presharedKey: Secret | null;
  told: Omit<Admission, "kind">;
  server: { publicKey: string; host: string; port: number };
  /** Seconds between packets that keep a path through NAT open; null: none. */
  keepaliveSeconds: number | null;
};

/** The text of a `.conf` file as wg-quick(8) and the WireGuard apps read it. */
export function wireGuardFile(file: WireGuardFile): string {
  const { config, profile, told, server } = file;
  const addresses = [told.ipv4, told.ipv6].filter((one) => one !== null);
  const allowed = allowedIps(told);
  const lines = [
    "# Sallyport client config",
    `# id: ${config.id}`,
    `# profile: ${onOneLine(profile.displayName)} (${onOneLine(profile.id)})`,
    `# for: ${onOneLine(config.userId ?? "")}`,
    `# made: ${config.createdAt}`,
    `# good until: ${config.expiresAt}`,
    "[Interface]",
    ...(file.privateKey === null
      ? ["# PrivateKey = (the one whose public half this was made for)"]
      : [`PrivateKey = ${file.privateKey.reveal()}`]),
    `Address = ${addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`).join(", ")}`,
    ...(told.dns.length > 0 ? [`DNS = ${told.dns.join(", ")}`] : []),
    "",
    "[Peer]",
    `PublicKey = ${server.publicKey}`,
    ...(file.presharedKey === null ? [] : [`PresharedKey = ${file.presharedKey.reveal()}`]),
    `Endpoint = ${server.host.includes(":") ? `[${server.host}]` : server.host}:${server.port}`,
    `AllowedIPs = ${allowed.join(", ")}`,
    ...(file.keepaliveSeconds === null ? [] : [`PersistentKeepalive = ${file.keepaliveSeconds}`]),
  ];
  return `${lines.join("\n")}\n`;
}

/** The pools that its addresses are of, where the server is, and what else goes through the tunnel; nothing twice. */
function allowedIps({ ipv4, ipv6, routes }: WireGuardFile["told"]): string[] {
  const pools = [ipv4, ipv6].flatMap((one) => (one === null ? [] : [`${one.address}/${one.prefixLength}`]));
  const ranges = [...pools, ...routes].flatMap((text) => parseRange(text) ?? []);
  const within = (a: AddressRange, b: AddressRange) => a.family === b.family && b.first <= a.first && a.last <= b.last;
  const outer = ranges.filter(
    (one, i) => !ranges.some((other, j) => within(one, other) && (!within(other, one) || j < i)),
  );
  return outer.map(({ cidr }) => cidr);
}
