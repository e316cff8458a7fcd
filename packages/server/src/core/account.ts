import type { GroupSnapshot, Properties } from "./properties.ts";

/** A local account. Somebody known only to a directory has none, and may still have properties. */
export type User = {
  /** The name itself: names are the identity, compared as they are written. */
  id: string;
  disabled: boolean;
  hasPassword: boolean;
  createdAt: string;
};

export type Group = { id: string; createdAt: string };

/** What the lookup order (user, its group, default) found for one user. */
export type ResolvedAccount = {
  user: User | undefined;
  /** The user's own record, its group's and the default's, overlaid; `pvt_` and `conn_` are not inherited. */
  properties: Properties;
};

/** How other stages read accounts; compose puts the real lookup in. */
export interface AccountLookup {
  /** `overlay` is laid over the user's own record first: what a script asked to save, or the group it chose. */
  resolve(userId: string, overlay?: Properties): Promise<ResolvedAccount>;
  group(name: string): Promise<GroupSnapshot | undefined>;
}
