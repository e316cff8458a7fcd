import { randomBytes } from "node:crypto";
import { access, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Authority } from "../client-configs/authority.ts";
import type { Config, ProfileConfig } from "../config/config.ts";
import type { AttachedListenerOptions, OpenVpnListenerOptions } from "../drivers/openvpn/openvpn-driver.ts";

/** Every listener of every OpenVPN profile that is ours to run, and every server of others that we attach to. */
export async function openVpnListeners(
  config: Config,
  authority: Authority,
  program?: string,
): Promise<(OpenVpnListenerOptions | AttachedListenerOptions)[]> {
  const ipv6 = await exists("/proc/net/if_inet6");
  const attached = config.profiles.flatMap((profile) => attachedListener(profile, config));
  const managed = (
    await Promise.all(config.profiles.map((profile) => listenersOf(profile, { config, authority, ipv6, program })))
  ).flat();
  return [...managed, ...attached];
}

function attachedListener({ id, tunnel }: ProfileConfig, { dataDirectory }: Config): AttachedListenerOptions[] {
  if (tunnel.protocol !== "openvpn" || tunnel.mode !== "attach") return [];
  const { name, management, passwordFile, wakeUp } = tunnel;
  const stateFile = join(dataDirectory, "openvpn", id, "attached");
  return [{ profileId: id, listener: name, management, passwordFile: passwordFile ?? undefined, stateFile, wakeUp }];
}

/** Where a listener keeps its socket, configuration and log. */
export function listenerDirectory({ dataDirectory }: Config, profileId: string, listener: string): string {
  return join(dataDirectory, "openvpn", profileId, listener.replaceAll(/[^A-Za-z0-9.]/g, "-"));
}

/** A server of somebody else's has certificates of somebody else's, unless the profile says otherwise. */
export function certificatesOf(profile: ProfileConfig | undefined): "any" | "ours" {
  const tunnel = profile?.tunnel;
  return tunnel?.protocol === "openvpn" && tunnel.mode === "attach" ? tunnel.certificates : "ours";
}

async function listenersOf(
  profile: ProfileConfig,
  options: { config: Config; authority: Authority; ipv6: boolean; program: string | undefined },
): Promise<OpenVpnListenerOptions[]> {
  const { config, authority, ipv6, program } = options;
  const { id, tunnel, ranges } = profile;
  if (tunnel.protocol !== "openvpn" || tunnel.mode !== "managed") return [];
  const directory = join(config.dataDirectory, "openvpn", id);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const files = await authority.serverFiles(id);
  const secretFile = await tokenSecret(join(directory, "session-tokens.key"));
  return tunnel.listeners.map((listener) => ({
    profileId: id,
    listener: listener.name,
    listen: { transport: listener.transport, address: listener.address, port: listener.port },
    directory: listenerDirectory(config, id, listener.name),
    files,
    ranges: { ipv4: ranges.ipv4 ?? undefined, ipv6: ranges.ipv6 ?? undefined },
    wakeUp: tunnel.wakeUp,
    renegotiateSeconds: tunnel.renegotiateSeconds,
    // How long a session lasts is the pipeline's to say (prop_expire): the daemon's tokens do not expire by themselves.
    sessionTokens: { lifetimeSeconds: 0, secretFile },
    ipv6,
    ...(program !== undefined && { program }),
  }));
}

/** What session tokens are signed with, kept so that a restart asks nobody again; the form of `openvpn --genkey auth-token`. */
async function tokenSecret(file: string): Promise<string> {
  if (await exists(file)) return file;
  const lines =
    randomBytes(128)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  const name = "OpenVPN auth-token server key";
  const pem = [`-----BEGIN ${name}-----`, ...lines, `-----END ${name}-----`, ""].join("\n");
  await writeFile(file, pem, { mode: 0o600 });
  return file;
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
