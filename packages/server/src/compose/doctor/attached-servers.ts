import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Examination } from "../../api/commands/doctor.ts";
import type { Config, OpenVpnAttached, ProfileConfig } from "../../config/config.ts";
import { type AddressRange, parseRange } from "../../core/address-range.ts";
import { type ConfigOption, readConfigOptions } from "../../drivers/openvpn/config-lines.ts";
import { judgeServerConfig } from "../../drivers/openvpn/judge-config.ts";
import { connectTo } from "../../drivers/openvpn/management.ts";
import { examineCertificate } from "./data-directory.ts";
import { type Finding, fault, ok, warning } from "./finding.ts";
import { reasonOf } from "./machine.ts";

type Attached = ProfileConfig & { tunnel: OpenVpnAttached };
type ServerFile = { file: string; text: string; directory: string };

/**
 * The configuration of each server that somebody else runs, line by line: the file that was named, else the one that
 * the attached process was started with, else that of a running openvpn with this very management socket.
 */
export async function examineAttachedServers(
  config: Config,
  options: { openvpnConfig: string | undefined; daemon: Omit<Examination, "findings"> & { runs: boolean } },
): Promise<Finding[]> {
  const profiles = config.profiles.filter(
    (profile): profile is Attached => profile.tunnel.protocol === "openvpn" && profile.tunnel.mode === "attach",
  );
  const { openvpnConfig } = options;
  const groupSubnets = options.daemon.groupSubnets.map(parseRange).filter((range) => range !== undefined);
  if (openvpnConfig !== undefined && profiles.length === 0) {
    const next = "Write a profile with attach first: docs/attach.md.";
    return [fault("openvpn-config", `no profile attaches to the server of ${openvpnConfig}`, next)];
  }
  const named = openvpnConfig === undefined ? undefined : await readServerFile(openvpnConfig);
  if (typeof named === "string") {
    return [fault("openvpn-config", `${openvpnConfig} cannot be read (${named})`, "Name the server's configuration.")];
  }
  const found: Finding[] = [];
  const running = named === undefined ? await runningServers() : [];
  for (const profile of profiles) {
    const pid = options.daemon.attached.find(({ profileId }) => profileId === profile.id)?.pid ?? undefined;
    const own = running.find((server) => server.pid === pid) ?? running.find((server) => isAt(server, profile.tunnel));
    // One file is one server: of several profiles, the one that it is for.
    const isNamed = named !== undefined && (profiles.length === 1 || isAt(named, profile.tunnel));
    const file = isNamed ? named : own;
    if (file !== undefined) found.push(...(await examineServer(profile, file, groupSubnets)));
    else if (named === undefined) {
      const next = "Name it: sallyport doctor --openvpn-config FILE";
      found.push(warning(`${profile.id}.config`, `the configuration of ${profile.tunnel.name} was not found`, next));
    }
    found.push(...(await examineSocketDirectory(profile)));
    // A running daemon holds the socket itself, and says how it stands to it.
    if (!options.daemon.runs && profile.tunnel.management.role === "connect") found.push(await examineAnswer(profile));
  }
  return found;
}

async function examineServer(
  { id, tunnel, ranges }: Attached,
  server: ServerFile,
  groupSubnets: readonly AddressRange[],
): Promise<Finding[]> {
  const { management, passwordFile, certificates } = tunnel;
  const judged = judgeServerConfig(server.text, { management, passwordFile, certificates, ranges, groupSubnets });
  const found = judged.map(({ id: subject, line, state, what, next }): Finding => {
    const place = line === null ? "" : `line ${line}: `;
    return { id: `${id}.${subject}`, state, what: `${server.file}: ${place}${what}`, next };
  });
  const options = readConfigOptions(server.text);
  for (const name of ["ca", "cert"]) {
    const word = options.findLast((option) => option.name === name)?.words[0];
    if (word === undefined || word === "[inline]") continue;
    const file = resolve(server.directory, word);
    const next = "Renew it, and restart the server.";
    found.push(await examineCertificate(`${id}.${name}`, `${name} in ${server.file}`, file, next));
  }
  return found;
}

/** A unix socket without a guard of its own must lie where only root may go. */
async function examineSocketDirectory({ id, tunnel }: Attached): Promise<Finding[]> {
  const { at } = tunnel.management;
  if (!("path" in at)) return [];
  const directory = dirname(at.path);
  const found = await stat(directory).catch((error: unknown) => reasonOf(error));
  if (typeof found === "string") {
    const next = `Make it: install -d -m 0700 ${directory}`;
    return [fault(`${id}.socket`, `${directory}, where the management socket is, cannot be reached (${found})`, next)];
  }
  if ((found.mode & 0o022) !== 0) {
    const next = `chmod 700 ${directory}`;
    return [fault(`${id}.socket`, `${directory}, where the management socket is, can be written by others`, next)];
  }
  return [ok(`${id}.socket`, `${directory}, where the management socket is, can be written by its owner alone`)];
}

async function examineAnswer({ id, tunnel }: Attached): Promise<Finding> {
  try {
    (await connectTo(tunnel.management.at)).destroy();
    return ok(`${id}.management`, `somebody listens at ${tunnel.name}`);
  } catch (error) {
    const next = "Start that server, with the management socket where the profile attaches: docs/attach.md.";
    return fault(`${id}.management`, `nobody listens at ${tunnel.name} (${reasonOf(error)})`, next);
  }
}

/** Every openvpn that can be seen here, with the configuration it was started with. */
async function runningServers(): Promise<(ServerFile & { pid: number })[]> {
  const found: (ServerFile & { pid: number })[] = [];
  for (const entry of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(entry)) continue;
    const words = (await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (!/(^|\/)openvpn$/.test(words[0] ?? "")) continue;
    const named = words[words.indexOf("--config") + 1];
    const file = words.includes("--config") ? named : words[1]?.startsWith("--") ? undefined : words[1];
    if (file === undefined || file === "") continue;
    const directory = words.includes("--cd")
      ? (words[words.indexOf("--cd") + 1] ?? "/")
      : await readlink(`/proc/${entry}/cwd`).catch(() => "/");
    const server = await readServerFile(resolve(directory, file), directory);
    if (typeof server !== "string") found.push({ ...server, pid: Number(entry) });
  }
  return found;
}

async function readServerFile(file: string, directory = dirname(resolve(file))): Promise<ServerFile | string> {
  try {
    const text = await readFile(file, "utf8");
    const cd = readConfigOptions(text).find(({ name }) => name === "cd")?.words[0];
    return { file: resolve(file), text, directory: cd ?? directory };
  } catch (error) {
    return reasonOf(error);
  }
}

function isAt(server: ServerFile, { management }: OpenVpnAttached): boolean {
  const { at } = management;
  const words = "path" in at ? [at.path, "unix"] : [at.host, `${at.port}`];
  const isSocket = ({ name, words: found }: ConfigOption) =>
    name === "management" && words.every((word, index) => found[index] === word);
  return readConfigOptions(server.text).some(isSocket);
}
