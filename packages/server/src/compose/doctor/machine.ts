import { execFile } from "node:child_process";
import { lookup } from "node:dns/promises";
import { access, constants, open } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { promisify } from "node:util";
import type { Config } from "../../config/config.ts";
import { parseAddress } from "../../core/address-range.ts";
import { type Finding, fault, ok, warning } from "./finding.ts";

const execute = promisify(execFile);
const programDeadlineMs = 10_000;
/** This program is not older. */
const builtAt = Date.UTC(2026, 0, 1);

/** What the machine itself must have, whatever is configured. */
export async function examineMachine(): Promise<Finding[]> {
  return [examineAccount(), await examineTun(), ...(await examinePrograms()), examineClock()];
}

function examineAccount(): Finding {
  if (process.getuid?.() === 0) return ok("root", "this runs as root");
  const next = "Run the daemon as root: it makes network interfaces, rules, and processes of other accounts.";
  return fault("root", "this does not run as root", next);
}

async function examineTun(): Promise<Finding> {
  try {
    await (await open("/dev/net/tun", constants.O_RDWR)).close();
    return ok("tun", "/dev/net/tun can be opened");
  } catch (error) {
    const next = "Load it with `modprobe tun`; in a container, pass the device in and add CAP_NET_ADMIN.";
    return fault("tun", `/dev/net/tun cannot be opened (${reasonOf(error)})`, next);
  }
}

async function examinePrograms(): Promise<Finding[]> {
  const found: Finding[] = [];
  const openvpn = await versionOf("openvpn", ["--version"]);
  const version = /^OpenVPN (\d+)\.(\d+)\S*/.exec(openvpn ?? "");
  if (version === null) {
    found.push(fault("openvpn", "openvpn does not run", "Install the package openvpn, 2.6 or newer."));
  } else if (Number(version[1]) < 2 || (version[1] === "2" && Number(version[2]) < 6)) {
    const next = "Install 2.6 or newer; 2.5 can only be attached to.";
    found.push(fault("openvpn", `${version[0]} is too old for servers of our own`, next));
  } else found.push(ok("openvpn", version[0]));
  for (const [name, args, from] of [
    ["ip", ["-V"], "iproute2"],
    ["nft", ["--version"], "nftables"],
  ] as const) {
    const text = await versionOf(name, args);
    if (text === undefined) found.push(fault(name, `${name} does not run`, `Install the package ${from}.`));
    else found.push(ok(name, text.split("\n")[0] ?? name));
  }
  return found;
}

/** What serves WireGuard interfaces of ours: the kernel's module, or a program. */
export async function examineWireGuard({ profiles }: Config): Promise<Finding[]> {
  const ours = profiles.some(({ tunnel }) => tunnel.protocol === "wireguard" && tunnel.mode === "managed");
  if (!ours) return [];
  if (await exists("/sys/module/wireguard")) return [ok("wireguard", "the kernel serves WireGuard")];
  const text = await versionOf("wireguard-go", ["--version"]);
  if (text !== undefined) return [ok("wireguard", text.split("\n")[0] ?? "wireguard-go runs")];
  const next = "Load the kernel's module (modprobe wireguard), or install the package wireguard-go.";
  return [fault("wireguard", "neither the kernel's WireGuard module nor wireguard-go is there", next)];
}

/** The interpreter of Python scripts, as the configuration names it. */
export async function examinePython({ scripts }: Config): Promise<Finding> {
  const text = await versionOf(scripts.python, ["--version"]);
  const version = /^Python 3\.(\d+)/.exec(text ?? "");
  if (version === null) {
    const next = "Install python3, or name another interpreter in scripts.python. Without it no Python script loads.";
    return fault("python", `${scripts.python} is no Python 3 that runs`, next);
  }
  return ok("python", `${scripts.python} is ${text?.trim()}`);
}

function examineClock(): Finding {
  const now = new Date();
  if (now.getTime() > builtAt) return ok("clock", `the clock says ${now.toISOString()}`);
  const next = "Set it, with a time service such as systemd-timesyncd: certificates and codes depend on it.";
  return fault("clock", `the clock says ${now.toISOString()}, which is past`, next);
}

/** Where clients of our own servers are told to connect. */
export async function examineHostName({ node: { hostName }, profiles }: Config): Promise<Finding[]> {
  if (!profiles.some(({ tunnel }) => tunnel.mode === "managed")) return [];
  const own = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
  const addresses = await lookup(hostName, { all: true }).then(
    (all) => all.map(({ address }) => address),
    () => [],
  );
  if (addresses.length === 0) {
    const next =
      "Put a name that clients can resolve, or an address, into node.hostName, and issue client configs anew.";
    return [fault("host-name", `node.hostName ${hostName} does not resolve`, next)];
  }
  const shown = parseAddress(hostName) === undefined ? `${hostName} (${addresses.join(", ")})` : hostName;
  if (addresses.every((address) => address.startsWith("127.") || address === "::1")) {
    const next = "Put a name or address into node.hostName that leads here from elsewhere.";
    return [fault("host-name", `clients are told to connect to ${shown}, which is their own machine`, next)];
  }
  if (addresses.some((address) => own.includes(address))) return [ok("host-name", `clients connect to ${shown}`)];
  const next = "Nothing, if a router forwards the ports from there; otherwise correct node.hostName.";
  return [warning("host-name", `clients are told to connect to ${shown}, which is no address of this machine`, next)];
}

async function versionOf(program: string, args: readonly string[]): Promise<string | undefined> {
  const options = { timeout: programDeadlineMs, env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" } };
  try {
    const { stdout, stderr } = await execute(program, args, options);
    return stdout || stderr;
  } catch (error) {
    // openvpn 2.5 ends its --version with status 1.
    const text = (error as { stdout?: string }).stdout;
    return text === undefined || text === "" ? undefined : text;
  }
}

/** Whether a file can be reached at all. */
export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

export function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  return code ?? (error instanceof Error ? error.message : String(error));
}
