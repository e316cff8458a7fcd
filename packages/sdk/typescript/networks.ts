import { BlockList, isIPv4, isIPv6 } from "node:net";

/**
 * Whether an address lies in one of these networks: `192.0.2.0/24`, `2001:db8::/32`, or an address alone. Throws where
 * one of them is none.
 */
export function addressIsIn(address: string, networks: readonly string[]): boolean {
  // IPv4 clients of a socket for both are named in IPv6; link-local ones with their interface.
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  const { ipv4, ipv6 } = listsOf(networks);
  if (isIPv4(plain)) return ipv4.check(plain, "ipv4");
  return isIPv6(plain) && ipv6.check(plain, "ipv6");
}

/** Apart: to a list of both, every IPv4 address is in `::/0`. */
type Lists = { ipv4: BlockList; ipv6: BlockList };

const known = new WeakMap<readonly string[], Lists>();

function listsOf(networks: readonly string[]): Lists {
  const lists = known.get(networks) ?? { ipv4: new BlockList(), ipv6: new BlockList() };
  if (known.has(networks)) return lists;
  for (const network of networks) addNetwork(lists, network);
  known.set(networks, lists);
  return lists;
}

function addNetwork({ ipv4, ipv6 }: Lists, network: string): void {
  const [, address = "", length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(network) ?? [];
  const most = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  const prefix = length === undefined ? most : Number(length);
  if (most < 0 || prefix > most) {
    throw new Error(`${JSON.stringify(network)} is no network, like "192.0.2.0/24" or "2001:db8::/32"`);
  }
  if (most === 32) ipv4.addSubnet(address, prefix, "ipv4");
  else ipv6.addSubnet(address, prefix, "ipv6");
}
