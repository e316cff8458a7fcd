import { type AddressRange, gatewayOf, parseAddress, parseRange, rangeHolds } from "../core/address-range.ts";
import { SallyportError } from "../core/errors.ts";
import type { GroupSnapshot, Properties } from "../core/properties.ts";
import type { Admission } from "../drivers/driver.ts";
import type { AddressWish } from "../store/store.ts";
import type { ConnectionProfile } from "./profile.ts";

type Family = "ipv4" | "ipv6";

/**
 * Which addresses a connection asks the ledger for. `conn_ip` fixes one; otherwise the group's subnets of that family
 * are used in their order, and the profile's range where the group has none. The profile's range leaves out every
 * group's subnets: those belong to their members.
 */
export function addressWishes(options: {
  properties: Properties;
  group: GroupSnapshot | null;
  profile: ConnectionProfile;
  /** Subnets of all groups. */
  groupSubnets: readonly AddressRange[];
}): Record<Family, AddressWish | null> {
  const fixed = fixedAddress(options);
  const wish = (family: Family): AddressWish | null => {
    if (fixed !== null && familyOf(fixed) === family) return { fixed };
    const own = subnetsOf(options.group, family);
    if (own.length > 0) return { ranges: own, excluded: [] };
    const range = options.profile.ranges[family];
    return range && { ranges: [range], excluded: options.groupSubnets };
  };
  return { ipv4: wish("ipv4"), ipv6: wish("ipv6") };
}

/** What the client is told about its address: the prefix and gateway of the pool that it lies in. */
export function assignment(
  address: string | null,
  group: GroupSnapshot | null,
  profile: ConnectionProfile,
): Admission["ipv4"] {
  if (address === null) return null;
  const family = familyOf(address);
  const pool = poolsOf(group, profile, family).find((range) => rangeHolds(range, address));
  // An address given outside the pools known here stands alone: the client reaches everything through the tunnel.
  if (pool === undefined) return { address, prefixLength: family === "ipv4" ? 32 : 128, gateway: address };
  return { address, prefixLength: pool.prefixLength, gateway: gatewayOf(pool) };
}

function fixedAddress(options: Parameters<typeof addressWishes>[0]): string | null {
  const { properties, group, profile, groupSubnets } = options;
  const text = properties.conn_ip;
  if (text === undefined || text === "") return null;
  const address = parseAddress(text);
  if (address === undefined)
    throw new SallyportError("address-invalid", `conn_ip ${JSON.stringify(text)} is no address`);
  const pools = [...poolsOf(group, profile, familyOf(address)), ...groupSubnets];
  const holding = pools.filter((range) => rangeHolds(range, address));
  if (holding.length === 0) {
    throw new SallyportError(
      "address-invalid",
      `conn_ip ${address} lies outside every group subnet and the profile's range`,
    );
  }
  // A group's subnet may lie within the range, and its first address is the server's too.
  const pool = holding.find((range) => !mayBeHeld(range, address));
  if (pool !== undefined) {
    throw new SallyportError(
      "address-invalid",
      `conn_ip ${address} is the server's, network's or broadcast address of ${pool.cidr}`,
    );
  }
  return address;
}

function mayBeHeld(pool: AddressRange, address: string): boolean {
  if (address === gatewayOf(pool)) return false;
  const single: AddressRange = { ...pool, ...exactly(address) };
  return single.first !== pool.first && (pool.family === 6 || single.first !== pool.last);
}

function exactly(address: string): Pick<AddressRange, "first" | "last"> {
  const range = parseRange(`${address}/${address.includes(":") ? 128 : 32}`);
  if (range === undefined) throw new SallyportError("address-invalid", `${address} is no address`);
  return { first: range.first, last: range.last };
}

function poolsOf(group: GroupSnapshot | null, profile: ConnectionProfile, family: Family): AddressRange[] {
  const range = profile.ranges[family];
  return range ? [...subnetsOf(group, family), range] : subnetsOf(group, family);
}

function subnetsOf(group: GroupSnapshot | null, family: Family): AddressRange[] {
  const subnets = (group?.subnets ?? []).map(parseRange).filter((range) => range !== undefined);
  return subnets.filter((range) => range.family === (family === "ipv4" ? 4 : 6));
}

function familyOf(address: string): Family {
  return address.includes(":") ? "ipv6" : "ipv4";
}
