import { accessRules } from "../core/access-rule.ts";
import type { GroupSnapshot, Properties } from "../core/properties.ts";
import type { ConnectionProfile } from "./profile.ts";

/**
 * What a client is told to send through the tunnel, and whom to ask for names. The profile's routes, and the networks
 * that its own or its group's `access_to.N` name; the property `prop_reroute_gw_override` has the last word:
 * `global` sends everything, `disable` never everything, `dns_only` nothing but the questions to the profile's resolvers.
 */
export function routesAndDns(options: {
  properties: Properties;
  group: GroupSnapshot | null;
  profile: ConnectionProfile;
}): { routes: string[]; dns: string[] } {
  const { properties, group, profile } = options;
  const dns = [...profile.dns];
  const own = [...new Set([...profile.routes, ...networksOf(properties, group)])];
  const override = properties.prop_reroute_gw_override;
  if (override === "dns_only") return { routes: dns.map(hostRoute), dns };
  if (override === "disable") return { routes: own.filter((route) => !isEverything(route)), dns };
  if (override !== "global") return { routes: own, dns };
  const families = [profile.ranges.ipv4 && "0.0.0.0/0", profile.ranges.ipv6 && "::/0"].filter(
    (route) => route !== null,
  );
  return { routes: [...families, ...own.filter((route) => !isEverything(route))], dns };
}

function networksOf(properties: Properties, group: GroupSnapshot | null): string[] {
  const records = [properties, ...(group ? [group.properties] : [])];
  const { rules } = accessRules("access_to", records);
  const networks = rules.flatMap((rule) => (rule.kind === "network" ? [rule.range.cidr] : []));
  // That all may be reached does not say that all must go this way.
  return networks.filter((network) => !isEverything(network));
}

function isEverything(route: string): boolean {
  return route.endsWith("/0");
}

function hostRoute(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}
