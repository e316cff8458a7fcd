import type { Config } from "../config/config.ts";
import type { Log } from "../core/log.ts";
import type { NodeFacts } from "../hooks/event.ts";
import { GeoIp, geoIpFacts } from "../hooks/geo-ip.ts";
import { type Finding, ok, warning } from "./doctor/finding.ts";

/** What hooks are told of this machine, and of where clients are. */
export async function nodeFacts({ node, geoIp }: Config, log: Log): Promise<NodeFacts> {
  if (geoIp === null) return node;
  const database = new GeoIp({ file: geoIp.database, log });
  await database.refresh();
  return { ...node, locate: database.locate };
}

export async function examineGeoIp({ geoIp }: Config): Promise<Finding[]> {
  if (geoIp === null) return [];
  try {
    const { type, built } = await geoIpFacts(geoIp.database);
    return [ok("geoIp", `${geoIp.database} is ${type}, built ${built}`)];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const next = "Put a database there; it is picked up without a restart. Until then hooks are told no places.";
    return [warning("geoIp", reason, next)];
  }
}
