import { type AddressRange, parseAddress, parseRange } from "./address-range.ts";
import type { Properties } from "./properties.ts";

/**
 * One value of `access_to.N` or `access_from.N`, in Access Server's spelling. `+NAT:`, `+ROUTE:` and `+SUBNET:` name a
 * network, `+GROUP:` and `+USER:` other clients by whose they are, `+ALL_VPN_CLIENTS` all of them and
 * `+ALL_S2C_SUBNETS` the networks of the profile. A network alone reads as `+SUBNET:`.
 */
export type AccessRule =
  | {
      kind: "network";
      range: AddressRange;
      /** Null: everything. */
      services: readonly Service[] | null;
      /** Whether the client's address is hidden from the network; null: as its profile says. */
      nat: boolean | null;
    }
  | { kind: "group" | "user"; name: string }
  | { kind: "all-clients" | "profile-networks" };

/** `tcp/443`, `udp/5000-5010`, `tcp`, `icmp`, `icmp/echo-request`; null stands for all ports, or every ICMP message. */
export type Service =
  | { protocol: "tcp" | "udp"; ports: { first: number; last: number } | null }
  | { protocol: "icmp"; type: "echo-request" | null };

export type AccessDirection = "access_to" | "access_from";

const natOfPrefix = new Map<string, boolean | null>([
  ["NAT", true],
  ["ROUTE", false],
  ["SUBNET", null],
]);

/** Undefined where it cannot be read. */
export function parseAccessRule(text: string): AccessRule | undefined {
  const trimmed = text.trim();
  if (trimmed === "+ALL_VPN_CLIENTS") return { kind: "all-clients" };
  if (trimmed === "+ALL_S2C_SUBNETS") return { kind: "profile-networks" };
  const [, prefix, rest = ""] = /^\+([A-Z]+):(.+)$/su.exec(trimmed) ?? [undefined, "SUBNET", trimmed];
  if (prefix === "GROUP" || prefix === "USER") return { kind: prefix === "GROUP" ? "group" : "user", name: rest };
  const nat = natOfPrefix.get(prefix ?? "");
  const network = nat === undefined ? undefined : parseNetwork(rest);
  return network && nat !== undefined ? { kind: "network", ...network, nat } : undefined;
}

/** `10.0.0.0/8`, `10.0.0.1`, `fd00::/8`, each with services behind a colon where there are some. */
function parseNetwork(text: string): { range: AddressRange; services: readonly Service[] | null } | undefined {
  const whole = rangeOf(text);
  if (whole !== undefined) return { range: whole, services: null };
  const colon = text.lastIndexOf(":");
  const range = colon < 0 ? undefined : rangeOf(text.slice(0, colon));
  const services = text
    .slice(colon + 1)
    .split(",")
    .map(parseService);
  if (range === undefined || services.includes(undefined)) return undefined;
  return { range, services: services.filter((service) => service !== undefined) };
}

function rangeOf(text: string): AddressRange | undefined {
  const address = parseAddress(text);
  return parseRange(address === undefined ? text : `${address}/${address.includes(":") ? 128 : 32}`);
}

function parseService(text: string): Service | undefined {
  const [, protocol, , detail] = /^(tcp|udp|icmp)(\/(\S+))?$/.exec(text.trim().toLowerCase()) ?? [];
  if (protocol === "icmp") {
    if (detail === undefined) return { protocol, type: null };
    return detail === "echo-request" || detail === "8" ? { protocol, type: "echo-request" } : undefined;
  }
  if (protocol !== "tcp" && protocol !== "udp") return undefined;
  if (detail === undefined) return { protocol, ports: null };
  const [, from = "", , to = from] = /^(\d{1,5})(-(\d{1,5}))?$/.exec(detail) ?? [];
  const ports = { first: Number(from), last: Number(to) };
  const fits = from !== "" && ports.first >= 1 && ports.first <= ports.last && ports.last <= 65_535;
  return fits ? { protocol, ports } : undefined;
}

/**
 * The rules of one direction that stand in any of the records given: a user's and its group's hold side by side. One
 * that cannot be read is a rule too, which allows nothing. Blank values are none.
 */
export function accessRules(
  direction: AccessDirection,
  records: readonly Properties[],
): { rules: AccessRule[]; unreadable: string[] } {
  const texts = new Set<string>();
  for (const record of records) {
    for (const [key, value] of Object.entries(record)) {
      if (isAccessKey(key, direction) && value.trim() !== "") texts.add(value.trim());
    }
  }
  const read = [...texts].map((text) => ({ text, rule: parseAccessRule(text) }));
  return {
    rules: read.flatMap(({ rule }) => rule ?? []),
    unreadable: read.filter(({ rule }) => rule === undefined).map(({ text }) => text),
  };
}

export function isAccessRuleKey(key: string): boolean {
  return isAccessKey(key, "access_to") || isAccessKey(key, "access_from");
}

function isAccessKey(key: string, direction: AccessDirection): boolean {
  return key.startsWith(`${direction}.`) && /^\d{1,9}$/.test(key.slice(direction.length + 1));
}
