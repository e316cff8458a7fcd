import { isIP } from "node:net";
import { AgentFailure } from "../failure.ts";

/** A WireGuard client config, with what `wg` takes apart from what `ip` does. */
export type WireGuardProfile = {
  /** For `wg setconf`: keys, endpoints, allowed addresses. Holds the private key. */
  setconf: string;
  addresses: readonly string[];
  dns: readonly string[];
  /** Domains among the DNS values: tried behind a name without a dot. */
  search: readonly string[];
  mtu: number | undefined;
  /** `host:port` of the first peer that has one. */
  endpoint: string | undefined;
  allowed: readonly string[];
  leftOut: readonly string[];
};

const keyForm = /^[A-Za-z0-9+/]{43}=$/;
const endpointForm = /^([\w.-]{1,253}|\[[0-9a-fA-F:.%]+\]):\d{1,5}$/;

/**
 * Reads what wg-quick reads, without the lines that run programs (`PostUp` and its like), which are left out.
 * @throws AgentFailure `faulty-file`, with the line
 */
export function readWireGuardProfile(text: string): WireGuardProfile {
  const setconf: string[] = [];
  const addresses: string[] = [];
  const dns: string[] = [];
  const search: string[] = [];
  const allowed: string[] = [];
  const leftOut: string[] = [];
  let section = "";
  let mtu: number | undefined;
  let endpoint: string | undefined;
  const known = new Set<string>();
  for (const [index, given] of text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .entries()) {
    const line = given.replace(/#.*$/, "").trim();
    if (line === "") continue;
    const refuse = (what: string) => faulty(`line ${index + 1} ${what}`);
    const head = /^\[(interface|peer)\]$/i.exec(line);
    if (head) {
      section = (head[1] ?? "").toLowerCase();
      setconf.push(section === "peer" ? "[Peer]" : "[Interface]");
      continue;
    }
    const [, name = "", value = ""] = /^(\w+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (name === "" || section === "") throw refuse("is none of WireGuard's");
    const values = value.split(",").map((one) => one.trim());
    const key = `${section}.${name.toLowerCase()}`;
    known.add(key);
    if (key === "interface.address") addresses.push(...checked(values, isNetwork, refuse));
    else if (key === "interface.dns") {
      dns.push(...values.filter((one) => isIP(one) !== 0));
      search.push(...values.filter((one) => /^[\w-]{1,63}(\.[\w-]{1,63})*$/.test(one) && isIP(one) === 0));
    } else if (key === "interface.mtu") mtu = Number(checked([value], (one) => /^\d{3,5}$/.test(one), refuse)[0]);
    else if (key === "interface.privatekey" || key === "peer.publickey" || key === "peer.presharedkey")
      setconf.push(`${name} = ${checked([value], (one) => keyForm.test(one), refuse)[0]}`);
    else if (key === "interface.listenport" || key === "peer.persistentkeepalive")
      setconf.push(`${name} = ${checked([value], (one) => /^(\d{1,5}|off)$/.test(one), refuse)[0]}`);
    else if (key === "peer.endpoint") {
      setconf.push(`Endpoint = ${checked([value], (one) => endpointForm.test(one), refuse)[0]}`);
      endpoint ??= value;
    } else if (key === "peer.allowedips") {
      setconf.push(`AllowedIPs = ${checked(values, isNetwork, refuse).join(", ")}`);
      allowed.push(...values);
    } else leftOut.push(`line ${index + 1}: ${name}`);
  }
  for (const needed of ["interface.privatekey", "interface.address", "peer.publickey", "peer.allowedips"])
    if (!known.has(needed)) throw faulty(`it has no ${needed.replace(".", ": ")}`);
  return { setconf: `${setconf.join("\n")}\n`, addresses, dns, search, mtu, endpoint, allowed, leftOut };
}

function checked(
  values: readonly string[],
  fits: (value: string) => boolean,
  refuse: (what: string) => Error,
): readonly string[] {
  if (!values.every(fits)) throw refuse("has a value that cannot be");
  return values;
}

function isNetwork(text: string): boolean {
  const [address = "", length, ...more] = text.split("/");
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128));
}

function faulty(what: string): AgentFailure {
  return new AgentFailure(
    "faulty-file",
    `The client config cannot be used: ${what}.`,
    "Get it anew from your administrator.",
  );
}
