import { randomBytes } from "node:crypto";
import { access, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Authority } from "../client-configs/authority.ts";
import type { Config, ProfileConfig } from "../config/config.ts";
import type { OpenVpnListenerOptions } from "../drivers/openvpn/openvpn-driver.ts";

/** Every listener of every OpenVPN profile that is ours to run. */
export async function openVpnListeners(config: Config, authority: Authority): Promise<OpenVpnListenerOptions[]> {
  const ipv6 = await exists("/proc/net/if_inet6");
  return (await Promise.all(config.profiles.map((profile) => listenersOf(profile, config, authority, ipv6)))).flat();
}

async function listenersOf(
  profile: ProfileConfig,
  config: Config,
  authority: Authority,
  ipv6: boolean,
): Promise<OpenVpnListenerOptions[]> {
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
    directory: join(directory, listener.name.replaceAll(/[^A-Za-z0-9.]/g, "-")),
    files,
    ranges: { ipv4: ranges.ipv4 ?? undefined, ipv6: ranges.ipv6 ?? undefined },
    wakeUp: tunnel.wakeUp,
    renegotiateSeconds: tunnel.renegotiateSeconds,
    // How long a session lasts is the pipeline's to say (prop_expire): the daemon's tokens do not expire by themselves.
    sessionTokens: { lifetimeSeconds: 0, secretFile },
    ipv6,
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
