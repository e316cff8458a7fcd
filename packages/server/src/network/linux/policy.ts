import { type AccessRule, accessRules, type Service } from "../../core/access-rule.ts";
import { type AddressRange, parseRange } from "../../core/address-range.ts";
import type { NetworkClient, NetworkProfile } from "../network.ts";

/** A network and what of it; `nat` says whether the client's address is hidden from it. */
export type Destination = { range: AddressRange; services: readonly Service[] | null; nat: boolean };

/** Other clients, by where they are, whose they are, or all of them. */
export type Peers = {
  all: boolean;
  groups: readonly string[];
  users: readonly string[];
  ranges: readonly Omit<Destination, "nat">[];
};

/** What one client may do, whoever it is: clients of whom the same is true share it. */
export type Policy = {
  /** Some rule of its own says what it may reach: then that alone, also of this machine. */
  restricted: boolean;
  /** Beyond the VPN. */
  reaches: readonly Destination[];
  /** Where no destination says otherwise. */
  masquerade: boolean;
  /** From beyond the VPN. */
  reachedFrom: readonly Omit<Destination, "nat">[];
  peers: Peers;
  reachedByPeers: Peers;
  /** Rules that could not be read, for the log. */
  unreadable: readonly string[];
};

const everywhere = ["0.0.0.0/0", "::/0"];
const dnsServices: readonly Service[] = [
  { protocol: "udp", ports: { first: 53, last: 53 } },
  { protocol: "tcp", ports: { first: 53, last: 53 } },
];

/**
 * What a client may reach and who may reach it. Without a rule it reaches what it was told to send through the tunnel;
 * with one, that rule's and its like alone, and the DNS servers it was told to ask. Nobody begins a connection to a
 * client, and clients do not reach each other, unless a rule of either says so. A network of a rule means other clients
 * only where it lies inside `vpn`, the addresses of clients: `10.0.0.0/8` does not open 10.42.0.0/20 by the way.
 */
export function policyOf(client: NetworkClient, profile: NetworkProfile, vpn: readonly AddressRange[]): Policy {
  const records = [client.properties, client.group?.properties ?? {}];
  const to = accessRules("access_to", records);
  const from = accessRules("access_from", records);
  const restricted = to.rules.length + to.unreadable.length > 0;
  const byProfile = profile.nat === "masquerade";
  const networks = profile.routes;
  const told = client.properties.prop_reroute_gw_override === "global" ? everywhere : client.routes;
  const open = restricted ? to.rules.flatMap((rule) => beyond(rule, vpn, networks)) : told.flatMap(anything);
  const dns = client.dns.flatMap((address) => anything(address)).map((one) => ({ ...one, services: dnsServices }));
  return {
    restricted,
    reaches: [...open, ...dns.filter(({ range }) => !insideAny(range, vpn))].map(({ range, services, nat }) => ({
      range,
      services,
      nat: nat ?? natOf(range, open) ?? byProfile,
    })),
    masquerade: byProfile,
    reachedFrom: from.rules
      .flatMap((rule) => beyond(rule, vpn, networks))
      .map(({ range, services }) => ({ range, services })),
    peers: peersOf(to.rules, vpn),
    reachedByPeers: peersOf(from.rules, vpn),
    unreadable: [...to.unreadable, ...from.unreadable],
  };
}

type Open = { range: AddressRange; services: readonly Service[] | null; nat: boolean | null };

/** The networks that a rule means; none where it means clients. */
function beyond(rule: AccessRule, vpn: readonly AddressRange[], networks: readonly string[]): Open[] {
  if (rule.kind === "profile-networks") return networks.flatMap(anything);
  if (rule.kind !== "network" || insideAny(rule.range, vpn)) return [];
  return [{ range: rule.range, services: rule.services, nat: rule.nat }];
}

function anything(cidr: string): Open[] {
  const range = parseRange(cidr.includes("/") ? cidr : `${cidr}/${cidr.includes(":") ? 128 : 32}`);
  return range ? [{ range, services: null, nat: null }] : [];
}

/** What the closest network around a range says. */
function natOf(range: AddressRange, open: readonly Open[]): boolean | null {
  const around = open.filter((one) => one.services === null && isInside(range, one.range));
  return around.sort((a, b) => b.range.prefixLength - a.range.prefixLength)[0]?.nat ?? null;
}

function peersOf(rules: readonly AccessRule[], vpn: readonly AddressRange[]): Peers {
  const names = (kind: "group" | "user") => rules.flatMap((rule) => (rule.kind === kind ? rule.name : [])).sort();
  return {
    all: rules.some(({ kind }) => kind === "all-clients"),
    groups: names("group"),
    users: names("user"),
    ranges: rules.flatMap((rule) =>
      rule.kind === "network" && insideAny(rule.range, vpn) ? [{ range: rule.range, services: rule.services }] : [],
    ),
  };
}

export function isInside(inner: AddressRange, outer: AddressRange): boolean {
  return inner.family === outer.family && outer.first <= inner.first && inner.last <= outer.last;
}

function insideAny(range: AddressRange, others: readonly AddressRange[]): boolean {
  return others.some((other) => isInside(range, other));
}
