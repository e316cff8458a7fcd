/**
 * Reads groups, addresses and properties from the attributes of a RADIUS answer.
 *
 * `properties` says of each property which attribute it is read from, and what its values mean:
 * { "prop_superuser": { "attribute": 25, "values": { "vpn-admins": "true" }, "otherwise": "false" } }
 * so for prop_autologin, prop_lzo, prop_reroute_gw_override, prop_deny_web and whatever else there is.
 *
 * What was read is kept for the session: a reconnect without a password asks no RADIUS server.
 */
import { allow, definePostAuth, deny, firstMatch, type Radius } from "@sallyport/sdk";

type Rule = { attribute: number; values: Record<string, string>; otherwise?: string };

const settings = {
  /** The attribute that holds groups: 25 is Class, 11 is Filter-Id. */
  groupAttribute: 25,
  /** Its values, and the groups they mean; the first that fits is taken. */
  groups: {} as Record<string, string>,
  /** Whether a value that is not in `groups` is the name of a group itself. */
  valueIsGroup: false,
  /** Whether people come in of whom no group is found; then the database says which they have. */
  letOthersIn: false,
  /** The attribute that holds a static address: 8 is Framed-IP-Address; 0 for none. */
  addressAttribute: 0,
  properties: {} as Record<string, Rule>,
  /** Whether people come in who were authenticated in another way; then the database says what they have. */
  otherMethods: false,
  /** What people read who are in no group. */
  noGroup: "Your account is not in a group that may use the VPN.",
};

/** Framed-IP-Address where the server leaves the choice to us. */
const noAddress = ["255.255.255.254", "255.255.255.255"];

export default definePostAuth({ settings, checkSettings }, (request, ctx) => {
  const { letOthersIn, otherMethods, noGroup, properties: rules, addressAttribute } = ctx.settings;
  const { radius } = ctx;
  if (radius === undefined) {
    const kept = ctx.session.properties;
    if (kept !== undefined) return allow({ properties: kept as Record<string, string> });
    if (otherMethods) return allow();
    return deny({ reason: `authenticated by ${request.method}, not by RADIUS`, clientReason: noGroup });
  }
  const properties: Record<string, string> = {};
  const group = groupFrom(radius, ctx.settings);
  if (group === undefined && !letOthersIn) {
    const values = radius.values(ctx.settings.groupAttribute).join(", ") || "nothing";
    const reason = `no group: attribute ${ctx.settings.groupAttribute} holds ${values}`;
    return deny({ reason, clientReason: noGroup });
  }
  if (group !== undefined) properties.conn_group = group;
  const address = radius.values(addressAttribute).find((value) => !noAddress.includes(value));
  if (address !== undefined) properties.conn_ip = address;
  for (const [name, { attribute, values, otherwise }] of Object.entries(rules)) {
    const value = firstMatch(values, radius.values(attribute)) ?? otherwise;
    if (value !== undefined) properties[name] = value;
  }
  ctx.session = { properties };
  return allow({ properties });
});

function groupFrom(radius: Radius, { groupAttribute, groups, valueIsGroup }: typeof settings): string | undefined {
  const values = radius.values(groupAttribute);
  return firstMatch(groups, values) ?? (valueIsGroup ? values[0] : undefined);
}

function checkSettings({ groups, valueIsGroup, letOthersIn, groupAttribute, properties }: typeof settings): void {
  if (Object.keys(groups).length === 0 && !valueIsGroup && !letOthersIn) {
    throw new Error('groups is empty, so nobody would come in; say for example { "groups": { "staff": "staff" } }');
  }
  const numbers = [groupAttribute, ...Object.values(properties).map(({ attribute }) => attribute)];
  if (!numbers.every((number) => Number.isInteger(number) && number > 0 && number < 256)) {
    throw new Error("attributes are numbers from 1 to 255");
  }
  for (const [name, { values, otherwise }] of Object.entries(properties)) {
    const texts = [...Object.values(values ?? {}), ...(otherwise === undefined ? [] : [otherwise])];
    if (texts.length > 0 && texts.every((text) => typeof text === "string")) continue;
    throw new Error(`properties.${name} must be like { "attribute": 25, "values": { "vpn-admins": "true" } }`);
  }
}
