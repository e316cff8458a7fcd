/**
 * Puts people into groups by their groups in the directory.
 *
 * `lookup` says how those are found: "memberOf" reads that attribute of the user's own entry; "nested" has Active
 * Directory follow groups in groups; "members" searches for groups that name the user (member, uniqueMember, memberUid),
 * for directories without memberOf.
 *
 * `properties` says which properties a group of the directory brings: { "prop_superuser": { "vpn-admins": "true" } }
 *
 * What was read is kept for the session: a reconnect without a password does not ask again.
 */
import { allow, definePostAuth, deny, firstMatch, type Ldap, ldapFilter } from "@sallyport/sdk";

const settings = {
  /** Groups of the directory (the whole DN, or its first part alone), and the groups they mean; the first is taken. */
  groups: {} as Record<string, string>,
  /** "memberOf", "nested" or "members". */
  lookup: "memberOf",
  /** Where groups are searched for, with "nested" and "members"; the configured search base where it is empty. */
  groupBase: "",
  properties: {} as Record<string, Record<string, string>>,
  /** Whether people come in of whom no group is found; then the database says which they have. */
  letOthersIn: false,
  /** Whether people come in who were authenticated in another way; then the database says what they have. */
  otherMethods: false,
  /** What people read who are in no group. */
  noGroup: "Your account is not in a group that may use the VPN.",
};

export default definePostAuth({ settings, checkSettings }, async (request, ctx) => {
  const { groups, letOthersIn, otherMethods, noGroup } = ctx.settings;
  if (ctx.ldap === undefined) {
    const kept = ctx.session.properties;
    if (kept !== undefined) return allow({ properties: kept as Record<string, string> });
    if (otherMethods) return allow();
    return deny({ reason: `authenticated by ${request.method}, not by LDAP`, clientReason: noGroup });
  }
  const dns = await groupsOf(ctx.ldap, request.user, ctx.settings);
  const names = dns.flatMap((dn) => [dn, firstPart(dn)]);
  const group = firstMatch(groups, names);
  if (group === undefined && !letOthersIn) {
    return deny({
      reason: `in no group that may use the VPN: ${dns.join("; ") || "in none at all"}`,
      clientReason: noGroup,
    });
  }
  const properties: Record<string, string> = group === undefined ? {} : { conn_group: group };
  for (const [name, values] of Object.entries(ctx.settings.properties)) {
    const value = firstMatch(values, names);
    if (value !== undefined) properties[name] = value;
  }
  ctx.session = { properties };
  return allow({ properties });
});

async function groupsOf(ldap: Ldap, user: string, { lookup, groupBase }: typeof settings): Promise<readonly string[]> {
  const { userDn } = ldap;
  if (userDn === undefined) return [];
  if (lookup === "memberOf") return (await ldap.readUser(["memberOf"]))?.values("memberOf") ?? [];
  const inChain = ldapFilter`(member:1.2.840.113556.1.4.1941:=${userDn})`;
  const asMember = ldapFilter`(|(member=${userDn})(uniqueMember=${userDn})(memberUid=${user}))`;
  const found = await ldap.search({
    filter: lookup === "nested" ? inChain : asMember,
    attributes: ["cn"],
    ...(groupBase !== "" && { base: groupBase }),
  });
  return found.map(({ dn }) => dn);
}

/** `CN=Engineering,OU=groups,…` → `Engineering`. */
function firstPart(dn: string): string {
  const [, value = ""] = /^[^=]+=((?:\\.|[^,\\])*)/.exec(dn) ?? [];
  return value.trim().replaceAll(/\\(.)/g, "$1");
}

function checkSettings({ groups, lookup, letOthersIn }: typeof settings): void {
  if (!["memberOf", "nested", "members"].includes(lookup)) {
    throw new Error('lookup must be "memberOf", "nested" or "members"');
  }
  if (Object.keys(groups).length === 0 && !letOthersIn) {
    throw new Error('groups is empty, so nobody would come in; say for example { "groups": { "VPN Users": "staff" } }');
  }
}
