import type { Ldap, LdapEntry, LdapQuery } from "../context.ts";
import type { Arguments } from "./arguments.ts";
import { dictionary } from "./arguments.ts";

export type FoundEntry = { dn: string; attributes: Record<string, string[]> };

/** Asks the daemon, over whose connection searches run. Rejects with what the directory said. */
export type Search = (query: Required<LdapQuery>) => Promise<FoundEntry[]>;

export class DirectoryError extends Error {
  override readonly name = "DirectoryError";
}

export function ldapOf(info: Arguments["info"], nameAttribute: string, ask: Search): Ldap {
  const { user_dn: userDn, search_base: searchBase } = info;
  const search = async ({ base = searchBase, filter, attributes = [], scope = "sub" }: LdapQuery) => {
    if (base === undefined) throw new DirectoryError("a search needs a base: none is configured");
    const found = await ask({ base: String(base), filter: String(filter), attributes: attributes.map(String), scope });
    return found.map(entryOf);
  };
  return Object.freeze({
    userDn,
    searchBase,
    nameAttribute,
    search,
    async readUser(attributes: readonly string[] = []) {
      if (userDn === undefined) return undefined;
      const [entry] = await search({ base: userDn, filter: "(objectClass=*)", attributes, scope: "base" });
      return entry;
    },
  });
}

function entryOf({ dn, attributes }: FoundEntry): LdapEntry {
  const byName = new Map(Object.entries(attributes).map(([name, values]) => [name.toLowerCase(), values]));
  const values = (attribute: string) => byName.get(attribute.toLowerCase()) ?? [];
  return { dn, attributes: dictionary(attributes), values, value: (attribute) => values(attribute)[0] };
}
