import { createHash } from "node:crypto";

/**
 * The name of a daemon's table: two daemons on one machine have data directories of their own, and so tables. The usual
 * directory has the plain name.
 */
export function tableName(dataDirectory: string): string {
  if (dataDirectory === "/var/lib/sallyport") return "sallyport";
  return `sallyport-${createHash("sha256").update(dataDirectory).digest("hex").slice(0, 6)}`;
}

/** Sets and maps that clients are entered into. A map's verdict is a jump into the chain of the client's policy. */
export const baseSets: Readonly<Record<string, string>> = {
  tunnels: "type ifname",
  forwarding: "type ifname",
  "gateways-4": "type ipv4_addr",
  "gateways-6": "type ipv6_addr",
  ...forBoth("clients", (address) => `type ifname . ${address}`),
  ...forBoth("restricted", (address) => `type ${address}`),
};

export const baseMaps: Readonly<Record<string, string>> = Object.assign(
  {},
  ...["began", "admits", "meets", "met", "nat"].map((name) => forBoth(name, (address) => `type ${address} : verdict`)),
);

function forBoth(name: string, declaration: (address: string) => string): Record<string, string> {
  return { [`${name}-4`]: declaration("ipv4_addr"), [`${name}-6`]: declaration("ipv6_addr") };
}

const aboutConnections = [
  "ct state related icmp type { destination-unreachable, time-exceeded, parameter-problem } accept",
  "ct state related icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept",
];

const families = [
  { family: 4, ip: "ip" },
  { family: 6, ip: "ip6" },
] as const;

type Judged = { direction: "original" | "reply"; side: "saddr" | "daddr"; map: string };

const judge = (...judged: Judged[]) =>
  judged.flatMap(({ direction, side, map }) =>
    families.map(({ family, ip }) => `ct direction ${direction} ${ip} ${side} vmap @${map}-${family}`),
  );

// A client hears at once that it may not, instead of waiting; whoever asks from elsewhere hears nothing.
const refused = "counter reject with icmpx admin-prohibited";

/**
 * The chains that packets from and to clients go through, those first that others lead into; nothing else is touched. What no chain of a policy accepts is
 * dropped. An accept here is no promise: another table's drop still counts.
 */
export const baseChains: Readonly<Record<string, readonly string[]>> = {
  // A client sends from its own address and device alone.
  genuine: [
    ...families.map(({ family, ip }) => `iifname . ${ip} saddr @clients-${family} return`),
    'counter drop comment "not the sender\'s own address"',
  ],
  // Nothing goes to an address that nobody has, or has on another device.
  present: [
    ...families.map(({ family, ip }) => `oifname . ${ip} daddr @clients-${family} return`),
    'counter drop comment "nobody there"',
  ],
  // From a client to beyond the VPN: it began the connection, or answers.
  outward: [
    ...judge(
      { direction: "original", side: "saddr", map: "began" },
      { direction: "reply", side: "saddr", map: "admits" },
    ),
    `${refused} comment "no rule allows it"`,
  ],
  // The other way round.
  inward: [
    ...judge(
      { direction: "reply", side: "daddr", map: "began" },
      { direction: "original", side: "daddr", map: "admits" },
    ),
    'counter drop comment "no rule allows it"',
  ],
  between: [
    ...judge(
      { direction: "original", side: "saddr", map: "meets" },
      { direction: "reply", side: "daddr", map: "meets" },
      { direction: "original", side: "daddr", map: "met" },
      { direction: "reply", side: "saddr", map: "met" },
    ),
    `${refused} comment "no rule allows it"`,
  ],
  forward: [
    "type filter hook forward priority filter; policy accept;",
    "iifname != @tunnels oifname != @tunnels accept",
    "iifname @tunnels jump genuine",
    "oifname @tunnels jump present",
    `iifname @tunnels iifname != @forwarding ${refused} comment "not forwarded"`,
    'oifname @tunnels oifname != @forwarding counter drop comment "not forwarded"',
    ...aboutConnections,
    "iifname @tunnels oifname @tunnels goto between",
    "iifname @tunnels goto outward",
    "goto inward",
  ],
  own: [...judge({ direction: "original", side: "saddr", map: "began" }), `${refused} comment "no rule allows it"`],
  // To this machine itself: others' rules decide, save for clients with rules of their own.
  input: [
    "type filter hook input priority filter; policy accept;",
    "iifname != @tunnels accept",
    "jump genuine",
    "ct direction reply accept",
    ...aboutConnections,
    // Where a device has neighbours, they must find each other; a tun has none.
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
    "ip daddr @gateways-4 accept",
    "ip6 daddr @gateways-6 accept",
    "ip saddr @restricted-4 goto own",
    "ip6 saddr @restricted-6 goto own",
  ],
  masquerading: [
    "type nat hook postrouting priority srcnat; policy accept;",
    "oifname != @tunnels ip saddr vmap @nat-4",
    "oifname != @tunnels ip6 saddr vmap @nat-6",
  ],
};
