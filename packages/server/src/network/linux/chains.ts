import { createHash } from "node:crypto";
import type { Service } from "../../core/access-rule.ts";
import type { AddressRange } from "../../core/address-range.ts";
import { type Destination, isInside, type Peers, type Policy } from "./policy.ts";

/** A chain of nft; equal contents have one name. `sets` are those of other clients' addresses that its rules look at. */
export type Chain = { name: string; rules: readonly string[]; sets: readonly string[] };

/** The chains that a client's packets go through; undefined where its policy has nothing to say there. */
export type PolicyChains = Record<"began" | "admits" | "meets" | "met" | "nat", Chain | undefined>;

type Network = Omit<Destination, "nat">;

/**
 * A connection is judged by what began it, for every packet of it, also of the answers, which match the same rules
 * turned round. So nothing that conntrack remembers outlives a rule: who gets a released address gets no connection of
 * the holder before.
 */
export function chainsOf(policy: Policy): PolicyChains {
  return {
    began: chain("began", towards("daddr", policy.reaches)),
    admits: chain("admits", towards("saddr", policy.reachedFrom)),
    meets: chain("meets", peerRules("daddr", policy.peers), setsOf(policy.peers)),
    met: chain("met", peerRules("saddr", policy.reachedByPeers), setsOf(policy.reachedByPeers)),
    nat: chain("nat", natRules(policy)),
  };
}

/** The set of the addresses of a group's or user's connected clients. Names are free text: their digest stands for them. */
export function memberSet(kind: "group" | "user", name: string, family: 4 | 6): string {
  return `${kind}-${digest(name)}-${family}`;
}

function chain(kind: string, rules: readonly string[], sets: readonly string[] = []): Chain | undefined {
  return rules.length === 0 ? undefined : { name: `${kind}-${digest(rules.join("\n"))}`, rules, sets };
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

type Side = "saddr" | "daddr";
const turned = { saddr: "daddr", daddr: "saddr" } as const;

/** Accepts connections to (`daddr`) or from (`saddr`) the networks. */
function towards(side: Side, networks: readonly Network[]): string[] {
  const byServices = new Map<string, Network[]>();
  for (const network of networks) {
    const key = `${network.range.family} ${JSON.stringify(network.services)}`;
    byServices.set(key, [...(byServices.get(key) ?? []), network]);
  }
  return [...byServices.values()].flatMap((alike) => {
    const [{ range, services } = never()] = alike;
    const ranges = outermost(alike.map((network) => network.range));
    return bothWays(side, range.family, (at) => addressMatch(range.family, at, ranges), services);
  });
}

function peerRules(side: Side, peers: Peers): string[] {
  if (peers.all) return ["accept"];
  const sets = ([4, 6] as const).flatMap((family) =>
    namesOf(peers).flatMap(({ kind, name }) => {
      const set = memberSet(kind, name, family);
      return bothWays(side, family, (at) => `${ipWord(family)} ${at} @${set}`, null);
    }),
  );
  return [...sets, ...towards(side, peers.ranges)];
}

function setsOf(peers: Peers): string[] {
  if (peers.all) return [];
  return namesOf(peers).flatMap(({ kind, name }) => ([4, 6] as const).map((family) => memberSet(kind, name, family)));
}

function namesOf({ groups, users }: Peers): { kind: "group" | "user"; name: string }[] {
  return [
    ...groups.map((name) => ({ kind: "group" as const, name })),
    ...users.map((name) => ({ kind: "user" as const, name })),
  ];
}

/** The rule for packets of whoever began the connection, and the one for the answers. */
function bothWays(
  side: Side,
  family: 4 | 6,
  address: (side: Side) => string,
  services: readonly Service[] | null,
): string[] {
  const matches = services === null ? [{ asked: "", answered: "" }] : services.map((one) => serviceMatch(family, one));
  return matches.flatMap(({ asked, answered }) => [
    `ct direction original ${address(side)}${asked} accept`,
    `ct direction reply ${address(turned[side])}${answered} accept`,
  ]);
}

function serviceMatch(family: 4 | 6, service: Service): { asked: string; answered: string } {
  if (service.protocol === "icmp") {
    const [word, number] = family === 4 ? ["icmp", "icmp"] : ["icmpv6", "ipv6-icmp"];
    if (service.type === null) return { asked: ` meta l4proto ${number}`, answered: ` meta l4proto ${number}` };
    return { asked: ` ${word} type echo-request`, answered: ` ${word} type echo-reply` };
  }
  const { protocol, ports } = service;
  if (ports === null) return { asked: ` meta l4proto ${protocol}`, answered: ` meta l4proto ${protocol}` };
  const text = ports.first === ports.last ? `${ports.first}` : `${ports.first}-${ports.last}`;
  return { asked: ` ${protocol} dport ${text}`, answered: ` ${protocol} sport ${text}` };
}

/** The closest network decides, then what the profile says. Only what is let through comes here. */
function natRules({ reaches, masquerade }: Policy): string[] {
  const mixed = reaches.some(({ nat }) => nat !== masquerade);
  const closest = [...(mixed ? reaches : [])].sort(
    (a, b) => b.range.prefixLength - a.range.prefixLength || Number(a.services === null) - Number(b.services === null),
  );
  const rules = closest.flatMap(({ range, services, nat }) => {
    const address = addressMatch(range.family, "daddr", [range]);
    const matches = services === null ? [""] : services.map((one) => serviceMatch(range.family, one).asked);
    return matches.map((match) => `${address}${match} ${nat ? "masquerade" : "return"}`);
  });
  if (masquerade) return [...rules, "masquerade"];
  return rules.some((rule) => rule.endsWith("masquerade")) ? rules : [];
}

function addressMatch(family: 4 | 6, side: Side, ranges: readonly AddressRange[]): string {
  if (ranges.some(({ prefixLength }) => prefixLength === 0)) return `meta nfproto ipv${family}`;
  return `${ipWord(family)} ${side} { ${ranges.map(({ cidr }) => cidr).join(", ")} }`;
}

function ipWord(family: 4 | 6): "ip" | "ip6" {
  return family === 4 ? "ip" : "ip6";
}

/** Without those that lie in others: nft takes no overlaps. */
function outermost(ranges: readonly AddressRange[]): AddressRange[] {
  const unique = [...new Map(ranges.map((range) => [range.cidr, range])).values()];
  return unique
    .filter((range) => !unique.some((other) => other !== range && isInside(range, other)))
    .sort((a, b) => (a.first < b.first ? -1 : 1));
}

function never(): never {
  throw new Error("a group of networks is empty");
}
