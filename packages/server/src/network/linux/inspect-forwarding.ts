import { readFile } from "node:fs/promises";
import type { RunProgram } from "../../core/system-program.ts";
import type { NetworkFinding, NetworkProfile } from "../network.ts";
import { forwards } from "./sysctls.ts";

type ForeignChain = { family: string; table: string; chain: string; kind: "firewalld" | "ufw" | "docker" | "other" };

/**
 * Looks for what keeps clients from what they should reach, though our own rules let them: programs that are missing, a
 * kernel that does not forward, a network without a route, and above all other firewalls, whose drop counts whatever
 * our table says. Changes nothing.
 */
export async function inspectForwarding(options: {
  table: string;
  profiles: readonly NetworkProfile[];
  run: RunProgram;
}): Promise<NetworkFinding[]> {
  const { table, profiles, run } = options;
  const [ip, nft] = await Promise.all([run("ip", ["-V"]), run("nft", ["-j", "-t", "list", "ruleset"])]);
  const findings: NetworkFinding[] = [];
  if (!ip.ok) findings.push(fault(`ip does not run: ${ip.stderr.trim()}`, "Install the package iproute2."));
  if (!nft.ok) {
    const next = "Install the package nftables, and run Sallyport as root or with CAP_NET_ADMIN.";
    return [...findings, fault(`the kernel's rules cannot be read: ${nft.stderr.trim()}`, next)];
  }
  const ruleset = (JSON.parse(nft.stdout) as { nftables: Listed[] }).nftables;
  if (profiles.length > 0 && !ruleset.some((one) => one.table?.family === "inet" && one.table.name === table)) {
    const message = `the table inet ${table} is not there: no client reaches anything as it should`;
    findings.push(fault(message, "Start Sallyport; if it runs, its log says why the table could not be written."));
  }
  const forwarding = profiles.filter((profile) => profile.forwarding);
  if (forwarding.length === 0) return findings;
  findings.push(...(await kernelFindings(forwarding)));
  findings.push(...(await routeFindings(forwarding, run)));
  const devices = forwarding.flatMap((profile) => profile.devices);
  for (const chain of foreignChains(ruleset, forwarding, table)) {
    if (devices.every((device) => mentions(ruleset, chain, device))) continue;
    const where = `${chain.family} ${chain.table}, chain ${chain.chain}`;
    findings.push(warning(`another firewall (${where}) may drop what clients send`, advice(chain, devices)));
  }
  if (await hasLegacyTables()) {
    const next = "See `iptables-legacy -L FORWARD -v`; let the clients' interfaces through there too.";
    findings.push(warning("rules of iptables-legacy are loaded, which may drop what clients send", next));
  }
  return findings;
}

type Listed = {
  table?: { family: string; name: string };
  chain?: { family: string; table: string; name: string; hook?: string; policy?: string };
  rule?: { family: string; table: string; chain: string; expr: unknown };
};

async function kernelFindings(profiles: readonly NetworkProfile[]): Promise<NetworkFinding[]> {
  const kernel = await forwards();
  return (["ipv4", "ipv6"] as const).flatMap((family) => {
    if (kernel[family] === true || !profiles.some(({ ranges }) => ranges[family] !== null)) return [];
    const key = family === "ipv4" ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
    const next = `Sallyport sets ${key} to 1 when it starts; look who sets it back, in /etc/sysctl.d for one.`;
    return [fault(`the kernel does not forward ${family === "ipv4" ? "IPv4" : "IPv6"}`, next)];
  });
}

async function routeFindings(profiles: readonly NetworkProfile[], run: RunProgram): Promise<NetworkFinding[]> {
  const routes = [...new Set(profiles.flatMap((profile) => profile.routes))].filter((route) => !route.endsWith("/0"));
  const found = await Promise.all(
    routes.slice(0, 50).map(async (route) => {
      const network = route.slice(0, route.indexOf("/"));
      const { ok } = await run("ip", ["route", "get", network]);
      const next = `Give this machine a route to ${route}, or take it out of the profile's routes.`;
      return ok ? [] : [warning(`this machine knows no way to ${route}, which clients are told to send here`, next)];
    }),
  );
  return found.flat();
}

function foreignChains(ruleset: readonly Listed[], profiles: readonly NetworkProfile[], own: string): ForeignChain[] {
  const families = new Set([
    "inet",
    ...(profiles.some(({ ranges }) => ranges.ipv4) ? ["ip"] : []),
    ...(profiles.some(({ ranges }) => ranges.ipv6) ? ["ip6"] : []),
  ]);
  return ruleset.flatMap(({ chain }) => {
    if (chain === undefined || chain.hook !== "forward" || !families.has(chain.family) || chain.table === own)
      return [];
    // firewalld accepts by policy and rejects with its last rule.
    if (chain.policy !== "drop" && chain.table !== "firewalld") return [];
    const { family, table, name } = chain;
    const names = ruleset.flatMap((one) => (one.chain?.table === table ? one.chain.name : []));
    const kind =
      table === "firewalld"
        ? "firewalld"
        : names.some((one) => one.startsWith("ufw"))
          ? "ufw"
          : names.includes("DOCKER-USER")
            ? "docker"
            : "other";
    return [{ family, table, chain: name, kind }];
  });
}

/** Whether some rule of a table is about an interface, by name or by the beginning of its name. */
function mentions(ruleset: readonly Listed[], { family, table }: ForeignChain, device: string): boolean {
  return ruleset.some(({ rule }) => {
    if (rule === undefined || rule.family !== family || rule.table !== table) return false;
    const texts = JSON.stringify(rule.expr).match(/"[^"]*"/g) ?? [];
    return texts.some((quoted) => {
      const text = quoted.slice(1, -1);
      return text === device || (text.length > 1 && text.endsWith("*") && device.startsWith(text.slice(0, -1)));
    });
  });
}

function advice({ family, table, chain, kind }: ForeignChain, devices: readonly string[]): string {
  const names = devices.length === 0 ? ["INTERFACE"] : devices;
  switch (kind) {
    case "firewalld":
      return `Let them through: ${names.map((name) => `firewall-cmd --zone=trusted --add-interface=${name}`).join("; ")}`;
    case "ufw":
      return `Let them through: ${names.map((name) => `ufw route allow in on ${name}; ufw route allow out on ${name}`).join("; ")}`;
    case "docker": {
      const command = family === "ip6" ? "ip6tables" : "iptables";
      const insert = (name: string) =>
        ["-i", "-o"].map((side) => `${command} -I DOCKER-USER ${side} ${name} -j ACCEPT`);
      return `Let them through: ${names.flatMap(insert).join("; ")}`;
    }
    default: {
      const insert = (name: string) =>
        ["iifname", "oifname"].map((side) => `nft insert rule ${family} ${table} ${chain} ${side} ${name} accept`);
      return `Let them through: ${names.flatMap(insert).join("; ")}`;
    }
  }
}

/** nft does not show what iptables-legacy put into the kernel. */
async function hasLegacyTables(): Promise<boolean> {
  const files = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];
  const names = await Promise.all(files.map((file) => readFile(file, "utf8").catch(() => "")));
  return names.some((text) => text.includes("filter"));
}

function fault(message: string, next: string): NetworkFinding {
  return { severity: "fault", message, next };
}

function warning(message: string, next: string): NetworkFinding {
  return { severity: "warning", message, next };
}
