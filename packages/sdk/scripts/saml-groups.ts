/**
 * Reads groups and properties from what a SAML identity provider says of the user.
 *
 * `properties` says of each property which attribute it is read from, and what its values mean:
 * { "prop_superuser": { "attribute": "roles", "values": { "vpn-admin": "true" }, "otherwise": "false" } }
 *
 * What was read is kept for the session: a reconnect without a browser asks no identity provider.
 */
import { allow, definePostAuth, deny, firstMatch } from "@sallyport/sdk";

type Rule = { attribute: string; values: Record<string, string>; otherwise?: string };

const settings = {
  /** The attribute that holds groups. Providers often use long names: http://schemas.xmlsoap.org/claims/Group */
  groupAttribute: "groups",
  /** Its values, and the groups they mean; the first that fits is taken. */
  groups: {} as Record<string, string>,
  /** Whether a value that is not in `groups` is the name of a group itself. */
  valueIsGroup: false,
  /** Whether people come in of whom no group is found; then the database says which they have. */
  letOthersIn: false,
  properties: {} as Record<string, Rule>,
  /** Whether people come in who were authenticated in another way; then the database says what they have. */
  otherMethods: false,
  /** What people read who are in no group. */
  noGroup: "Your account is not in a group that may use the VPN.",
};

export default definePostAuth({ settings, checkSettings }, (request, ctx) => {
  const { groupAttribute, groups, valueIsGroup, letOthersIn, otherMethods, noGroup } = ctx.settings;
  const { saml } = ctx;
  if (saml === undefined) {
    const kept = ctx.session.properties;
    if (kept !== undefined) return allow({ properties: kept as Record<string, string> });
    if (otherMethods) return allow();
    return deny({ reason: `authenticated by ${request.method}, not by SAML`, clientReason: noGroup });
  }
  const properties: Record<string, string> = {};
  const theirs = saml.values(groupAttribute);
  const group = firstMatch(groups, theirs) ?? (valueIsGroup ? theirs[0] : undefined);
  if (group === undefined && !letOthersIn) {
    const reason = `no group: ${JSON.stringify(groupAttribute)} holds ${theirs.join(", ") || "nothing"}`;
    return deny({ reason, clientReason: noGroup });
  }
  if (group !== undefined) properties.conn_group = group;
  for (const [name, { attribute, values, otherwise }] of Object.entries(ctx.settings.properties)) {
    const value = firstMatch(values, saml.values(attribute)) ?? otherwise;
    if (value !== undefined) properties[name] = value;
  }
  ctx.session = { properties };
  return allow({ properties });
});

function checkSettings({ groups, valueIsGroup, letOthersIn, properties }: typeof settings): void {
  if (Object.keys(groups).length === 0 && !valueIsGroup && !letOthersIn) {
    throw new Error('groups is empty, so nobody would come in; say for example { "groups": { "staff": "staff" } }');
  }
  for (const [name, { attribute, values, otherwise }] of Object.entries(properties)) {
    const texts = [...Object.values(values ?? {}), ...(otherwise === undefined ? [] : [otherwise])];
    if (typeof attribute === "string" && texts.length > 0 && texts.every((text) => typeof text === "string")) continue;
    throw new Error(`properties.${name} must be like { "attribute": "roles", "values": { "vpn-admin": "true" } }`);
  }
}
