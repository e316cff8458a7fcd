/**
 * Lets people in from certain networks.
 *
 * The address is the one that the server sees: that of the router, where there is one between the client and the server.
 */
import { addressIsIn, allow, definePostAuth, deny } from "@sallyport/sdk";

const settings = {
  /** Networks and addresses that people may come from; with none, from anywhere. */
  allow: [] as string[],
  /** Networks and addresses that nobody may come from. */
  deny: [] as string[],
  /** Where the members of a group may come from, in place of `allow`: { "admins": ["192.0.2.0/24"] } */
  groups: {} as Record<string, string[]>,
  /** What people read. */
  elsewhere: "This VPN cannot be used from where you are.",
};

export default definePostAuth({ settings, checkSettings }, ({ clientAddress, properties }, ctx) => {
  const { allow: everybody, deny: nobody, groups, elsewhere } = ctx.settings;
  const refuse = (why: string) => deny({ reason: `${clientAddress} ${why}`, clientReason: elsewhere });
  if (addressIsIn(clientAddress, nobody)) return refuse("is in a network that nobody may come from");
  const { conn_group: group = "" } = properties;
  const networks = Object.hasOwn(groups, group) ? groups[group] : undefined;
  if (networks !== undefined) {
    return addressIsIn(clientAddress, networks) ? allow() : refuse(`is in no network of the group ${group}`);
  }
  if (everybody.length === 0 || addressIsIn(clientAddress, everybody)) return allow();
  return refuse("is in no network that people may come from");
});

function checkSettings({ allow: everybody, deny: nobody, groups }: typeof settings): void {
  if (everybody.length + nobody.length + Object.keys(groups).length === 0) {
    throw new Error('allow, deny and groups are empty; say for example { "allow": ["192.0.2.0/24"] }');
  }
  for (const networks of [everybody, nobody, ...Object.values(groups)]) addressIsIn("192.0.2.1", networks);
}
