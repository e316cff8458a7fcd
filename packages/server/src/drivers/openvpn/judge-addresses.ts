import { type AddressRange, addressNumber, gatewayOf, parseAddress, parseRange } from "../../core/address-range.ts";
import type { ConfigOption } from "./config-lines.ts";
import type { JudgedProfile, Judgement } from "./judgement.ts";

/** Whether the server routes our ranges into its tunnel, and gives out none of their addresses by itself. */
export function judgeAddresses(
  options: readonly ConfigOption[],
  { ranges, groupSubnets }: Pick<JudgedProfile, "ranges" | "groupSubnets">,
): Judgement[] {
  return [
    ...groupSubnets.flatMap((subnet) => judgeSubnet(options, subnet)),
    ...(ranges.ipv4 === null ? withoutIpv4(options) : judge(options, ranges.ipv4)),
    ...(ranges.ipv6 === null ? [] : judge(options, ranges.ipv6)),
  ];
}

type Network = { range: AddressRange; own: string | undefined; option: ConfigOption };

function judge(options: readonly ConfigOption[], range: AddressRange): Judgement[] {
  const family = range.family;
  const found: Judgement[] = [];
  const home = homeOf(options, range);
  if (home === undefined) {
    const example = routeTo(range);
    const what = `the server does not send ${range.cidr}, the profile's range, into its tunnel`;
    found.push({ id: `route-ipv${family}`, line: null, state: "fault", what, next: `Add: ${example}` });
  } else if (home.own !== undefined && home.own !== gatewayOf(range)) {
    const what = `clients are told that the server is ${gatewayOf(range)}; it is ${home.own}`;
    const next = "Choose the profile's range so that its first address is the server's own, where clients use it.";
    found.push({ id: `gateway-ipv${family}`, line: home.option.line, state: "warning", what, next });
  }
  for (const { option, first, last } of options.flatMap((one) => poolOf(one, family) ?? [])) {
    if (last < range.first || first > range.last) continue;
    found.push({
      id: `pool-ipv${family}`,
      line: option.line,
      // Sallyport's IPv4 address keeps the pool of either family from being asked.
      state: family === 4 ? "fault" : "warning",
      what: `the server's own pool gives out addresses of ${range.cidr}, which the ledger gives out too`,
      next: poolAdvice(option),
    });
  }
  return found;
}

/** Only members of the group are concerned, and perhaps none of them connects here. */
function judgeSubnet(options: readonly ConfigOption[], subnet: AddressRange): Judgement[] {
  if (homeOf(options, subnet) !== undefined) return [];
  const what = `the server does not send ${subnet.cidr}, a group's subnet, into its tunnel: its members reach nothing here`;
  const next = `Add: ${routeTo(subnet)}`;
  return [{ id: `route-group.${subnet.cidr}`, line: null, state: "warning", what, next }];
}

function homeOf(options: readonly ConfigOption[], range: AddressRange): Network | undefined {
  const networks = options.flatMap((option) => networkOf(option, range.family) ?? []);
  return networks.find((one) => one.range.first <= range.first && range.last <= one.range.last);
}

function routeTo(range: AddressRange): string {
  return range.family === 4 ? `route ${range.cidr.split("/")[0]} ${netmaskText(range)}` : `route-ipv6 ${range.cidr}`;
}

function poolAdvice({ name, words }: ConfigOption): string {
  if (name === "server") return `Append nopool: server ${words.slice(0, 2).join(" ")} nopool`;
  if (name === "server-ipv6") {
    const own = words[0]?.replace(/\/(\d+)$/, "1/$1") ?? "";
    return `Put in its place: ifconfig-ipv6 ${own} ${words[0]?.replace(/\/\d+$/, "2") ?? ""}`;
  }
  return "Delete the line, or give the pool other addresses.";
}

function withoutIpv4(options: readonly ConfigOption[]): Judgement[] {
  const pool = options.flatMap((one) => poolOf(one, 4) ?? [])[0];
  if (pool === undefined) return [];
  const what = "clients also get an IPv4 address of the server's own pool, which the ledger does not know";
  const next = "Give the profile a range of IPv4 too, or the server no pool (nopool).";
  return [{ id: "pool-ipv4", line: pool.option.line, state: "warning", what, next }];
}

/** What an option has the kernel send into the tunnel. */
function networkOf(option: ConfigOption, family: 4 | 6): Network | undefined {
  const { name, words } = option;
  const [first = "", second = ""] = words;
  const named = (range: AddressRange | undefined, own: string | undefined) => range && { range, own, option };
  if (family === 4) {
    const range = parseRange(`${first}/${prefixOf(second)}`);
    if (name === "server") return named(range, range && gatewayOf(range));
    if (name === "ifconfig") return named(range, parseAddress(first));
    return name === "route" ? named(range, undefined) : undefined;
  }
  const range = parseRange(first);
  if (name === "server-ipv6") return named(range, range && gatewayOf(range));
  if (name === "ifconfig-ipv6") return named(range, parseAddress(first.split("/")[0] ?? ""));
  return name === "route-ipv6" ? named(range, undefined) : undefined;
}

function poolOf(
  option: ConfigOption,
  family: 4 | 6,
): { option: ConfigOption; first: bigint; last: bigint } | undefined {
  const { name, words } = option;
  const [first = "", second = ""] = words;
  if (family === 4 && name === "server" && !words.includes("nopool")) {
    const range = parseRange(`${first}/${prefixOf(second)}`);
    return range && { option, first: range.first, last: range.last };
  }
  if (family === 4 && name === "ifconfig-pool") {
    const [from, to] = [parseAddress(first), parseAddress(second)];
    return from && to ? { option, first: addressNumber(from), last: addressNumber(to) } : undefined;
  }
  if (family === 6 && (name === "server-ipv6" || name === "ifconfig-ipv6-pool")) {
    const range = parseRange(first);
    return range && { option, first: range.first, last: range.last };
  }
  return undefined;
}

/** The prefix length of a netmask; a host's where there is none. */
function prefixOf(netmask: string): number {
  const address = parseAddress(netmask);
  if (address === undefined) return 32;
  return addressNumber(address).toString(2).replaceAll("0", "").length;
}

function netmaskText({ prefixLength }: AddressRange): string {
  const mask = prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255).join(".");
}
