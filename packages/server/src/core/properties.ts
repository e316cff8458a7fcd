/** Named strings on a user, a group or the default. Access Server's names (`conn_group`, `prop_superuser`, …). */
export type Properties = Readonly<Record<string, string>>;

/** Whose properties: one user's, one group's, or the default that stands behind everybody. */
export type PropertyOwner = { kind: "user" | "group"; name: string } | { kind: "default" };

/** A group as it was when a connection was admitted: later changes apply from the next connect. */
export type GroupSnapshot = {
  name: string;
  properties: Properties;
  /** Canonical CIDRs from `group_subnets.N`, in the order of N; both families. */
  subnets: string[];
};
