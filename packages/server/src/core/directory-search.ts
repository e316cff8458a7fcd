/** One entry as a directory returned it: attribute names keep the server's spelling, values are always lists. */
export type DirectoryEntry = { dn: string; attributes: Readonly<Record<string, readonly string[]>> };

/** A search over the server's own directory connection, handed to scripts as `ldap_context`. */
export type DirectorySearch = (query: {
  base: string;
  filter: string;
  attributes: readonly string[];
  /** Left out, the whole subtree. */
  scope?: "base" | "one" | "sub";
}) => Promise<DirectoryEntry[]>;
