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

const secretProperties: ReadonlySet<string> = new Set(["pvt_password_digest", "pvt_google_auth_secret"]);

/** What the daemon notes down for itself on a user's record. */
const ownNotes: ReadonlySet<string> = new Set(["pvt_totp_last_step"]);

/** Without the daemon's own notes: a script that saves all it was given must not put old ones back. */
export function forScripts(properties: Properties): Properties {
  return Object.fromEntries(Object.entries(properties).filter(([key]) => !ownNotes.has(key)));
}

/** What must not be read anywhere, such as the secret of an authenticator. */
export function secretValues(properties: Properties): string[] {
  return Object.entries(properties).flatMap(([key, value]) => (secretProperties.has(key) ? [value] : []));
}

/** The same properties with the values of those that hold secrets masked, for records, logs and listings. */
export function maskSecrets(properties: Properties): Properties {
  return Object.fromEntries(
    Object.entries(properties).map(([key, value]) => [key, secretProperties.has(key) ? "[secret]" : value]),
  );
}
