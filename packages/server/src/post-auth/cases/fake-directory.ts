import type { DirectoryEntry, DirectorySearch } from "../../core/directory-search.ts";
import { matches, normalDn, parseFilter } from "./ldap-filter.ts";

/** A directory that holds just these entries, for cases; it answers as a real one would. */
export function fakeDirectory(entries: readonly DirectoryEntry[]): DirectorySearch {
  return async ({ base, filter, attributes, scope = "sub" }) => {
    const test = parseFilter(filter);
    return entries
      .filter(({ dn }) => isWithin(dn, base, scope))
      .filter((entry) => matches(test, entry, entries))
      .map(({ dn, attributes: all }) => ({ dn, attributes: chosen(all, attributes) }));
  };
}

function isWithin(dn: string, base: string, scope: "base" | "one" | "sub"): boolean {
  const [name, root] = [normalDn(dn), normalDn(base)];
  if (name === root) return scope !== "one";
  if (scope === "base" || (root !== "" && !name.endsWith(`,${root}`))) return false;
  const above = root === "" ? name : name.slice(0, -root.length - 1);
  return scope === "sub" || !/(?<!\\),/.test(above);
}

/** As servers do: no names, or `*`, ask for all. */
function chosen(all: DirectoryEntry["attributes"], names: readonly string[]): DirectoryEntry["attributes"] {
  if (names.length === 0 || names.includes("*")) return all;
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  return Object.fromEntries(Object.entries(all).filter(([name]) => wanted.has(name.toLowerCase())));
}
