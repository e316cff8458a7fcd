import { isIP } from "node:net";

/** Name servers of a tunnel, and the domains that are tried behind a name without a dot. */
export type NameServers = { servers: readonly string[]; search: readonly string[] };

/** One tunnel's, on this machine. Neither ever rejects: what cannot be done is logged. */
export type NameServerSetting = {
  /** In place of those that were set before; none are taken away. */
  set(wanted: NameServers): Promise<void>;
  /** The machine's own are asked again. */
  close(): Promise<void>;
};

const domainForm = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*$/;

/** What of these a system can be told. Servers name them, so each is looked at. */
export function believableNameServers(given: NameServers): NameServers {
  const search = given.search.map((domain) => domain.replace(/\.$/, "")).filter((domain) => domainForm.test(domain));
  const servers = given.servers.filter((server) => isIP(server) !== 0 && !server.includes("%"));
  return { servers: [...new Set(servers)].slice(0, 8), search: [...new Set(search)].slice(0, 16) };
}
