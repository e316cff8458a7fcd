import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** A CIDR range of either family, as numbers, for handing out addresses. */
export type AddressRange = {
  family: 4 | 6;
  /** Canonical text with the host bits cleared. */
  cidr: string;
  prefixLength: number;
  first: bigint;
  last: bigint;
};

function toNumber(address: Address): bigint {
  return address.toByteArray().reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function fromNumber(family: 4 | 6, value: bigint): string {
  const length = family === 4 ? 4 : 16;
  const bytes = Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 0xffn));
  return canonical(ipaddr.fromByteArray(bytes));
}

function canonical(address: Address): string {
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}

/** The canonical form of an address (IPv4-mapped IPv6 becomes IPv4), or undefined where it is none. */
export function parseAddress(text: string): string | undefined {
  if (!ipaddr.IPv6.isValid(text) && !ipaddr.IPv4.isValidFourPartDecimal(text)) return undefined;
  if (text.includes("%")) return undefined;
  return canonical(ipaddr.process(text));
}

/** Reads `10.42.0.0/20` or `fd42:1::/64`; host bits are cleared. Undefined where it is no range. */
export function parseRange(text: string): AddressRange | undefined {
  if (!ipaddr.isValidCIDR(text) || (!text.includes(":") && !/^(\d+\.){3}\d+\/\d+$/.test(text))) return undefined;
  const [address, prefixLength] = ipaddr.parseCIDR(text);
  const family = address instanceof ipaddr.IPv6 ? 6 : 4;
  const hostBits = BigInt((family === 4 ? 32 : 128) - prefixLength);
  const first = (toNumber(address) >> hostBits) << hostBits;
  const last = first + (1n << hostBits) - 1n;
  return { family, cidr: `${fromNumber(family, first)}/${prefixLength}`, prefixLength, first, last };
}

export function rangeHolds(range: AddressRange, address: string): boolean {
  const canonicalText = parseAddress(address);
  if (canonicalText === undefined) return false;
  const parsed = ipaddr.parse(canonicalText);
  if ((parsed instanceof ipaddr.IPv6 ? 6 : 4) !== range.family) return false;
  const value = toNumber(parsed);
  return value >= range.first && value <= range.last;
}

/** The server's own address in a range: its first host address. */
export function gatewayOf(range: AddressRange): string {
  return fromNumber(range.family, range.first + 1n);
}

/** The number of a canonical address: what comes before what, and which is next. */
export function addressNumber(address: string): bigint {
  return toNumber(ipaddr.parse(address));
}

/** The canonical address of a number; `addressNumber` turned round. */
export function addressOf(family: 4 | 6, value: bigint): string {
  return fromNumber(family, value);
}

/**
 * The addresses of a range that a client may hold, as spans of numbers, both ends included, beginning after `after`
 * and going round once. Left out: the network and broadcast address, the server's own, and whatever lies in an
 * excluded range.
 */
export function clientSpans(
  range: AddressRange,
  after: string | null,
  excluded: readonly AddressRange[] = [],
): [bigint, bigint][] {
  const lowest = range.first + 2n;
  const highest = range.family === 4 ? range.last - 1n : range.last;
  if (highest < lowest) return [];
  const cursor = after !== null && rangeHolds(range, after) ? addressNumber(after) + 1n : lowest;
  const start = cursor < lowest || cursor > highest ? lowest : cursor;
  const holes = excluded.filter((hole) => hole.family === range.family);
  let spans: [bigint, bigint][] = [
    [start, highest],
    [lowest, start - 1n],
  ];
  for (const hole of holes) spans = spans.flatMap((span) => without(span, hole));
  return spans.filter(([from, to]) => from <= to);
}

function without([from, to]: [bigint, bigint], hole: AddressRange): [bigint, bigint][] {
  if (hole.last < from || hole.first > to) return [[from, to]];
  return [
    [from, hole.first - 1n],
    [hole.last + 1n, to],
  ];
}
