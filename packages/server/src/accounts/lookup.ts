import type { AccountLookup, ResolvedAccount } from "../core/account.ts";
import { parseRange, rangeHolds } from "../core/address-range.ts";
import type { GroupSnapshot, Properties } from "../core/properties.ts";
import type { AccountStore } from "../store/store.ts";

type Records = Pick<AccountStore, "user" | "group" | "groups" | "properties">;

/** The lookup other stages are handed. */
export function accountLookup(store: Records): AccountLookup {
  return {
    resolve: (userId, overlay) => resolveAccount(store, userId, overlay),
    group: (name) => groupSnapshot(store, name),
  };
}

/**
 * What holds for a user: its own record, then its group's, then the default's (COMPATIBILITY section 1, "Properties").
 * `pvt_` and `conn_` names are not inherited, but the default's `conn_group` is. `overlay` is laid over the user's own
 * record first. The user's group is, in this order: its own `conn_group`; the group whose subnet holds its `conn_ip`;
 * the default's `conn_group`. Whichever it is stands as `conn_group` in the result, also where no such group exists.
 */
export async function resolveAccount(
  store: Records,
  userId: string,
  overlay: Properties = {},
): Promise<ResolvedAccount> {
  const [user, record, behind] = await Promise.all([
    store.user(userId),
    store.properties({ kind: "user", name: userId }),
    store.properties({ kind: "default" }),
  ]);
  const own = { ...record, ...overlay };
  const address = get(own, "conn_ip");
  const group =
    get(own, "conn_group") ??
    (address === undefined ? undefined : await groupHolding(store, address)) ??
    get(behind, "conn_group");
  const ofGroup = group === undefined ? {} : await store.properties({ kind: "group", name: group });
  return {
    user: user && { id: user.id, disabled: user.disabled, hasPassword: user.hasPassword, createdAt: user.createdAt },
    properties: {
      ...inheritable(behind),
      ...inheritable(ofGroup),
      ...own,
      ...(group !== undefined && { conn_group: group }),
    },
  };
}

/** A group as it is now, for keeping on a connection. Undefined where there is no such group. */
export async function groupSnapshot(store: Records, name: string): Promise<GroupSnapshot | undefined> {
  if (!(await store.group(name))) return undefined;
  const properties = await store.properties({ kind: "group", name });
  return { name, properties, subnets: subnetsOf(properties) };
}

/** Canonical CIDRs of `group_subnets.N`, in the order of N. Ones that are no range are left out. */
export function subnetsOf(properties: Properties): string[] {
  return Object.entries(properties)
    .map(([key, value]) => ({ position: subnetPosition(key), range: parseRange(value.trim()) }))
    .filter(({ position, range }) => position !== undefined && range !== undefined)
    .sort((a, b) => (a.position ?? 0) - (b.position ?? 0))
    .flatMap(({ range }) => (range ? [range.cidr] : []));
}

export function subnetPosition(key: string): number | undefined {
  const digits = /^group_subnets\.(\d{1,9})$/.exec(key)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The group whose subnet holds an address; of several the one with the smallest subnet, then the first by name. */
async function groupHolding(store: Records, address: string): Promise<string | undefined> {
  let best: { name: string; prefixLength: number } | undefined;
  for (const { name, cidr } of await allSubnets(store)) {
    const range = parseRange(cidr);
    if (!range || !rangeHolds(range, address)) continue;
    if (!best || range.prefixLength > best.prefixLength) best = { name, prefixLength: range.prefixLength };
  }
  return best?.name;
}

/** Every group's subnets, groups by name. */
export async function allSubnets(store: Records): Promise<{ name: string; cidr: string }[]> {
  const names = (await store.groups()).map((group) => group.id).sort();
  const properties = await Promise.all(names.map((name) => store.properties({ kind: "group", name })));
  return names.flatMap((name, i) => subnetsOf(properties[i] ?? {}).map((cidr) => ({ name, cidr })));
}

function inheritable(properties: Properties): Properties {
  return Object.fromEntries(Object.entries(properties).filter(([key]) => !/^(pvt|conn)_/.test(key)));
}

function get(properties: Properties, key: string): string | undefined {
  return Object.hasOwn(properties, key) ? properties[key] : undefined;
}
